"""Follow-up questions are put in full: what they point back to is named."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from PIL import Image

from hydra_rag_agents.actions import search
from hydra_rag_agents.gate import Gate
from hydra_rag_agents.loop import run
from hydra_rag_agents.memory import Past, follow_up
from hydra_rag_agents.moves import Search, View
from hydra_rag_agents.state import AskSettings, Budget, PageId, ReaderProfile, Turn
from hydra_rag_agents.testing import FakePage, MemoryLibrary, ScriptedReader
from hydra_rag_agents.topics import subject

PAGE = PageId("d", 1)


@pytest.mark.parametrize(
    ("question", "topic"),
    [
        ("What is the total of invoice 204?", "invoice 204"),
        ("What is the unit price of the monitor arm?", "the monitor arm"),
        ("Who leads Project Evergreen?", "Project Evergreen"),
        ("How much does the Hydro 300 kettle weigh?", "the Hydro 300 kettle"),
        ("How far from walls should the dehumidifier stand?", "the dehumidifier"),
        ("What does error code E3 mean?", "error code E3"),
        ("Who signed the letter from Valley Energy?", "the letter from Valley Energy"),
        ("What is the applicant's date of birth?", "the applicant"),
        ("What was the revenue in quarter 1, in million dollars?", "quarter 1"),
        ("When was the Acme contract signed?", "the Acme contract"),
        ("What is the invoice number?", "the invoice"),
        ("What is the total amount due?", None),
        ("Which company is billed?", None),
        ("", None),
    ],
)
def test_what_a_question_is_about(question: str, topic: str | None) -> None:
    assert subject(question) == topic


def _asked(question: str, *before: str, answer: str = "41.00") -> Turn:
    return follow_up(Turn(question, AskSettings()), [Past(text, answer, (PAGE,)) for text in before])


INVOICE = "What is the total of invoice 204?"
KETTLE = "How much does the Hydro 300 kettle weigh?"


@pytest.mark.parametrize(
    ("before", "question", "asked"),
    [
        (INVOICE, "And who issued it?", "Who issued invoice 204?"),
        (INVOICE, "and its date?", "What is the date of invoice 204?"),
        (INVOICE, "When was it sent?", "When was invoice 204 sent?"),
        (INVOICE, "And the due date?", "What is the due date of invoice 204?"),
        (INVOICE, "What about invoice 205?", "What is the total of invoice 205?"),
        (KETTLE, "how long is its warranty?", "How long is the warranty of the Hydro 300 kettle?"),
        (KETTLE, "What about the Hydro 500?", "How much does the Hydro 500 weigh?"),
        ("What is the price of the first item?", "What about the second one?",
         "What is the price of the second item?"),
        ("What is the price of the first item?", "and the third?", "What is the price of the third item?"),
        ("How many units were sold in the west region?", "And in the east region?",
         "How many units were sold in the east region?"),
        ("What was the revenue in quarter 1, in million dollars?", "And in quarter 2?",
         "What was the revenue in quarter 2, in million dollars?"),
        # What only says which page is meant is in the search, not in the question: it leads to other lines.
        ("What is the total of the invoice?", "and its date?", "What is the date?"),
        ("What is the total amount due?", "And who issued it?", "Who issued it?"),
        # Named in the question itself.
        (INVOICE, "Who wrote the letter and when was it sent?", "Who wrote the letter and when was it sent?"),
    ],
)  # fmt: skip
def test_a_follow_up_is_put_in_full(before: str, question: str, asked: str) -> None:
    turn = _asked(question, before)
    assert turn.asked == asked
    assert turn.question == question


def test_follow_ups_of_follow_ups_keep_what_is_being_talked_about() -> None:
    turn = _asked("And who signed it?", INVOICE, "And its date?")
    assert turn.asked == "Who signed invoice 204?"
    assert "invoice 204" in turn.search_text
    another = _asked("What about invoice 205?", INVOICE, "And its date?")
    assert another.asked == "What is the date of invoice 205?"


def test_he_and_she_are_the_person_who_was_named() -> None:
    turn = _asked("What is her telephone number?", "Who signed the lease?", answer="Ruth Turner.")
    assert turn.asked == "What is the telephone number of Ruth Turner?"


def test_the_lines_of_the_question_before_are_not_asked_for_again() -> None:
    """The search still knows it; the choice of lines does not, or the total would be the answer again."""
    turn = _asked("And who issued it?", "What is the total of the invoice?")
    assert "total" in turn.search_text
    assert "total" not in turn.asked
    assert turn.earlier_first


def test_a_question_that_names_its_topic_is_searched_alone() -> None:
    turn = _asked("And who issued it?", INVOICE)
    assert turn.search_text == turn.asked
    assert (turn.earlier_pages, turn.earlier_first) == ((PAGE,), False)


def test_another_thing_by_name_is_not_sought_on_the_page_before() -> None:
    assert _asked("What about the Hydro 500?", KETTLE).earlier_pages == ()
    assert _asked("And its power?", KETTLE).earlier_pages == (PAGE,)
    assert _asked("And in the east region?", "How many units were sold in the west region?").earlier_pages


@pytest.mark.parametrize(("first", "order"), [(True, ["a1", "b1", "a2"]), (False, ["a2", "a1", "b1"])])
def test_pages_of_the_conversation_come_first(first: bool, order: list[str]) -> None:
    scores = {PageId("b", 1): 3.0, PageId("a", 2): 2.0, PageId("a", 1): 1.0}
    library = MemoryLibrary({page: FakePage("Total 4", score) for page, score in scores.items()})
    turn = Turn("Total?", AskSettings(), earlier_pages=(PageId("a", 1),), earlier_first=first)
    view = View(turn.settings, ReaderProfile(), Budget(), Gate(), False)
    found = search(library, turn, view, Search(10, "hybrid"))
    assert [f"{c.id.document_id}{c.id.page}" for c in found] == order
    assert [c.rank for c in found] == [1, 2, 3]


def test_an_answer_from_another_document_is_doubted() -> None:
    def script(images: Sequence[Image.Image], text: str) -> tuple[str, float]:
        return ("41.00", 0.9) if "Total 41.00" in text else ("not found", 0.9)

    pages = {PageId("a", 1): FakePage("Name Ada", 1.0), PageId("b", 1): FakePage("Total 41.00", 2.0)}
    told = []
    for earlier in ((), (PageId("b", 1),), (PageId("a", 1),)):
        reader = ScriptedReader(script, ReaderProfile(style="nano", bound=True))
        turn = Turn("What is the total?", AskSettings(gaze="never"), earlier_pages=earlier)
        told.append(list(run(MemoryLibrary(pages), reader, turn))[-1].answer.confidence)  # type: ignore[union-attr]
    assert told[0] == told[1] > 2 * told[2] > 0


@pytest.mark.parametrize("before", [INVOICE, "Why?", "its?", "of", "'s 's", "the the the?"])
def test_odd_questions_do_no_harm(before: str) -> None:
    for question in ("and?", "it", "And of?", "one", "its", "And and?", "?", "what about one", "’s"):
        turn = _asked(question, before)
        assert turn.asked.strip()
        assert turn.search_text.strip()
