"""Lines for the prompt, and follow-up questions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_rag.lines import group_lines
from hydra_rag_agents.memory import Past, follow_up
from hydra_rag_agents.page_lines import choose_lines
from hydra_rag_agents.prompts import glance_prompt, says_not_found
from hydra_rag_agents.state import AskSettings, PageId, ReaderProfile, Turn
from hydra_rag_agents.testing import words_of
from hydra_rag_agents.text_context import content_tokens, said, tidied

PAGE = "Northwind\nInvoice number 204\nInvoice date 2026-01-05\nTotal due 41.00\nThank you for your order"


def test_relevant_lines_come_first_and_in_reading_order() -> None:
    assert choose_lines(words_of(PAGE), "What is the total due?", 16) == "Total due 41.00"
    chosen = choose_lines(words_of(PAGE), "Which invoice date and number?", 45).split("\n")
    assert chosen == ["Invoice number 204", "Invoice date 2026-01-05"]


def test_a_value_under_its_label_is_kept_with_it() -> None:
    text = "Alpha\nGrand total\n41.00\nOmega\nFoot note"
    assert choose_lines(words_of(text), "What is the grand total?", 20) == "Grand total\n41.00"


@settings(max_examples=60, deadline=None)
@given(text=st.text("ab \n1", max_size=200), question=st.text(max_size=30), budget=st.integers(-5, 120))
def test_the_budget_holds_and_lines_are_whole(text: str, question: str, budget: int) -> None:
    words = words_of(text)
    chosen = choose_lines(words, question, budget)
    assert len(chosen) <= max(0, budget)
    lines = [line.cells for line in group_lines(words)]
    assert all(line in lines for line in chosen.split("\n") if line)


def test_lines_split_at_wide_gaps_only_where_asked() -> None:
    words = words_of("Bolt M6                    1.20\nNut 0.40")
    assert [line.text for line in group_lines(words)] == ["Bolt M6 1.20", "Nut 0.40"]
    assert [line.text for line in group_lines(words, max_gap=1.5)] == ["Bolt M6", "1.20", "Nut 0.40"]


def test_a_tab_parts_the_cells_of_a_line() -> None:
    (bolt, nut) = group_lines(words_of("Bolt M6                    1.20\nNut 0.40"))
    assert (bolt.cells, nut.cells) == ("Bolt M6\t1.20", "Nut 0.40")
    assert bolt.cells.split() == bolt.text.split()


def test_content_tokens_drop_function_words_but_never_everything() -> None:
    assert content_tokens("What is the delivery date?") == ["delivery", "date"]
    assert content_tokens("what is the") != []
    assert content_tokens("the applicant's name") == ["applicant", "name"]


def test_lines_that_were_read_as_signs_are_no_words() -> None:
    assert [word.text for word in tidied(words_of("| Mia Falk ` |33"))] == ["Mia", "Falk", "|33"]


PAST = [Past("What is the invoice total?", "41.00", (PageId("d", 2),))]


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("And the due date?", "What is the due date?"),
        ("What about the delivery address?", "What is the delivery address?"),
        ("and the tax", "What is the tax?"),
    ],
)
def test_elliptic_questions_become_whole_and_keep_the_subject(question: str, asked: str) -> None:
    turn = follow_up(Turn(question, AskSettings()), PAST)
    assert turn.asked == asked
    assert turn.search_text == f"What is the invoice total? {asked}"
    assert turn.earlier_pages == (PageId("d", 2),)
    assert turn.history == (("What is the invoice total?", "41.00"),)


def test_questions_that_point_back_take_the_pages_along() -> None:
    turn = follow_up(Turn("When is it due?", AskSettings()), PAST)
    assert turn.asked == "When is the invoice due?"
    assert turn.search_text.startswith("What is the invoice total?")
    assert turn.earlier_pages == (PageId("d", 2),)


def test_questions_that_stand_alone_are_left_alone() -> None:
    question = "How heavy is the Hydro 300 kettle?"
    turn = follow_up(Turn(question, AskSettings()), PAST)
    assert (turn.asked, turn.search_text, turn.earlier_pages) == (question, question, ())
    first = Turn(question, AskSettings())
    assert follow_up(first, []) is first


def test_prompts_of_both_styles() -> None:
    turn = Turn("Total?", AskSettings(), history=(("Who?", "Ann"),))
    assert glance_prompt(ReaderProfile(style="nano"), turn, [("a", "")]) == "Total?"
    assert glance_prompt(ReaderProfile(style="nano"), turn, [("a", "x\ny")]) == "Text: x\ny\nTotal?"
    full = glance_prompt(ReaderProfile(style="instruct"), turn, [("a.pdf, page 1", "x")])
    assert "Text found on a.pdf, page 1:\nx" in full
    assert "Question: Who?\nAnswer: Ann" in full
    assert full.endswith("Question: Total?")


@pytest.mark.parametrize(
    ("text", "refuses"),
    [
        ("not found", True),
        ("Not found.", True),
        ('"not found"', True),
        ("", True),
        ("  ", True),
        ("Found on page 3", False),
        ("not founded", False),
        ("41.00", False),
    ],
)
def test_refusals_are_recognised(text: str, refuses: bool) -> None:
    assert says_not_found(text) is refuses


def test_settings_survive_json() -> None:
    chosen = AskSettings(k=3, documents=("a", "b"), threshold=0.4)
    assert AskSettings.from_json({**chosen.to_json(), "of_the_future": 1}) == chosen


@pytest.mark.parametrize(
    ("asked", "printed", "same"),
    [
        ("lecturer", "lectuer", True),  # one less
        ("copperfield", "copperfeild", False),  # two are wrong
        ("landlord", "landiord", True),  # another one
        ("subtotal", "subtotall", True),  # one more
        ("cable", "table", False),  # short words with a letter wrong are other words
        ("a35212", "a35213", False),  # and so are numbers
        ("meeting", "meetings", True),
    ],
)
def test_long_words_may_have_one_letter_wrong(asked: str, printed: str, same: bool) -> None:
    assert bool(said({asked}, [printed])) is same
    assert bool(said({printed}, [asked])) is same
