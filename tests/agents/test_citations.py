"""Where an answer stands: words of the page, boxes inside the page, nothing made up."""

from __future__ import annotations

import string

from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_rag.geometry import Box
from hydra_rag.values import Word
from hydra_rag_agents.citations import cite, weigh
from hydra_rag_agents.matching import find_answer
from hydra_rag_agents.state import AskSettings, Candidate, PageId, Turn
from hydra_rag_agents.testing import FakePage, MemoryLibrary, ScriptedReader, words_of

PAGE = PageId("d", 1)
TABLE = "Item        Price\nBolt M6      1.20\nNut  M6      0.40\n\nDelivery     1.20\nTotal        2.80"


def best(text: str, question: str, answer: str) -> tuple[str, Box] | None:
    matches = find_answer(words_of(text), question, answer)
    return (matches[0].quote, matches[0].box) if matches else None


def test_the_same_value_twice_is_told_apart_by_the_question() -> None:
    lines = TABLE.split("\n")
    for question, row in (("What does delivery cost?", 4), ("What is the price of Bolt M6?", 1)):
        found = best(TABLE, question, "1.20")
        assert found is not None
        assert found[0] == "1.20"
        assert found[1].top == 40 + 30 * row, lines[row]


def test_a_label_above_its_value_counts_too() -> None:
    text = "Invoice date        Due date\n2026-01-05          2026-01-05"
    found = best(text, "What is the due date?", "2026-01-05")
    assert found is not None
    assert found[1].left == 40 + 200


def test_values_are_found_through_punctuation_case_and_small_misreadings() -> None:
    text = "Total: $1,204.50.\nContact Jörg MÜLLER\nSerial AB-20417-X"
    for answer, quote in (
        ("$1,204.50", "$1,204.50."),
        ("jörg müller", "Jörg MÜLLER"),
        ("AB-2O417-X", "AB-20417-X"),
    ):
        found = best(text, "?", answer)
        assert found is not None, answer
        assert found[0] == quote


def test_other_values_are_not_taken_for_the_answer() -> None:
    assert best("Total 41.00", "total?", "77.35") is None
    assert best("Total 41.00", "total?", "") is None
    assert best("", "total?", "41.00") is None


def test_a_sentence_is_placed_on_the_line_that_says_it() -> None:
    text = "General terms\nGoods may be sent back within 30 days of delivery\nLabels stay on"
    said = "You can return them within 30 days after the delivery of it all as stated there in the terms"
    found = best(text, "When can I return goods?", said)
    assert found is not None
    assert "30 days" in found[0]


def test_among_equal_places_the_most_similar_region_wins() -> None:
    library = MemoryLibrary(
        {PAGE: FakePage("41.00 a\n\n\n\n41.00 b", regions=((Box(0, 150, 600, 200), 0.9),))}
    )
    candidate = library.find("q", 1, mode="visual", documents=None)[0]
    evidence = weigh(library, Turn("How much?", AskSettings()), candidate, "41.00")
    assert evidence.match is not None
    assert evidence.match.box.top == 160


def test_without_matching_words_the_box_is_a_region_and_there_is_no_quote() -> None:
    region = Box(100, 100, 9000, 9000)  # reaches over the edge
    for text in ("", "Something else"):
        library = MemoryLibrary({PAGE: FakePage(text, regions=((region, 0.8),))})
        candidate = library.find("q", 1, mode="visual", documents=None)[0]
        turn = Turn("How much?", AskSettings())
        reader = ScriptedReader(lambda images, prompt: ("41.00", 1.0))
        found = cite(library, reader, turn, candidate, "41.00", weigh(library, turn, candidate, "41.00"))
        assert (found.box, found.quote) == (Box(100, 100, 600, 800), None)


words = st.builds(
    Word,
    st.text(string.ascii_letters + string.digits + ".,-$ ü", min_size=1, max_size=8),
    st.builds(
        lambda x, y, w, h: Box(x, y, x + w, y + h), *[st.integers(-50, 900)] * 2, *[st.integers(1, 90)] * 2
    ),
)


@settings(max_examples=60, deadline=None)
@given(layer=st.lists(words, max_size=25), data=st.data())
def test_every_citation_lies_inside_its_page_and_quotes_it(layer: list[Word], data: st.DataObject) -> None:
    class Layered(MemoryLibrary):
        def words(self, page: PageId) -> list[Word]:
            return layer

    regions = data.draw(st.lists(st.tuples(words.map(lambda w: w.box), st.floats(0, 1)), max_size=2))
    answer = data.draw(st.one_of(st.sampled_from([w.text for w in layer] or ["x"]), st.text(max_size=12)))
    library = Layered({PAGE: FakePage("", regions=tuple(regions), size=(600, 800))})
    turn = Turn(data.draw(st.text(max_size=20)), AskSettings())
    candidate: Candidate = library.find("q", 1, mode="visual", documents=None)[0]
    reader = ScriptedReader(lambda images, prompt: (answer, 1.0))
    found = cite(library, reader, turn, candidate, answer, weigh(library, turn, candidate, answer))
    if found.box is not None:
        box = found.box
        assert 0 <= box.left < box.right <= 600
        assert 0 <= box.top < box.bottom <= 800
    if found.quote is not None:
        assert set(found.quote.split()) <= {part for word in layer for part in word.text.split()}
