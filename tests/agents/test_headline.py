"""Questions about the page itself: its title, and words that no chart or table says of itself."""

from __future__ import annotations

import pytest

from hydra_rag.geometry import Box
from hydra_rag.values import Word
from hydra_rag_agents.places import text_places, word_support
from tests.agents.test_places import INVOICE, words_of

REPORT = """
Kestrel Foods            Page 3


Harvest outlook
Rainfall was low in spring, and the grapes stayed small.
Old town      788
Harbour       412
"""


def _tall(words: list[Word], text: str) -> list[Word]:
    """``words`` with those of ``text`` in larger print."""
    large = set(text.split())
    return [
        Word(w.text, Box(w.box.left, w.box.top - 5, w.box.right, w.box.bottom + 5)) if w.text in large else w
        for w in words
    ]


def _said(words: list[Word], query: str) -> str:
    box = text_places(words, query)[0][0]
    return " ".join(w.text for w in words if box.intersect(w.box).area)


@pytest.mark.parametrize(
    "query", ["What is the title of this page?", "What is the heading?", "Give the headline of the document."]
)
def test_the_title_is_the_tallest_line(query: str) -> None:
    words = _tall(words_of(REPORT), "Harvest outlook")
    assert _said(words, query) == "Harvest outlook"
    support = word_support(words, query)
    first = next(w for w in words if w.text == "Harvest")
    assert support[first].begins
    assert support[first].best == 1.0


def test_a_large_figure_is_a_value_and_no_title() -> None:
    words = _tall(_tall(words_of(REPORT), "Harvest outlook 788"), "788")
    assert _said(words, "What is the heading of the page?") == "Harvest outlook"


def test_a_title_may_have_a_year_and_a_drawing_is_no_title() -> None:
    report = REPORT.replace("Harvest outlook", "Harvest outlook 2031").replace("Harbour", "I Harbour")
    words = [
        Word(w.text, w.box._replace(bottom=w.box.bottom + 60)) if w.text == "I" else w
        for w in _tall(words_of(report), "Harvest outlook 2031 Old")
    ]
    assert _said(words, "What is the heading of the page?") == "Harvest outlook 2031"


def test_a_title_that_is_a_label_has_its_value() -> None:
    words = _tall(words_of(INVOICE.replace("Due date            ", "Title               ")), "INVOICE")
    assert _said(words, "What is the title?") == "Title 7 October 2026"


def test_a_question_with_more_in_it_is_about_more_than_the_title() -> None:
    words = _tall(words_of(REPORT), "Harvest outlook")
    assert "788" in _said(words, "What is the title of Old town?")


def test_words_about_the_page_are_no_sign_against_it() -> None:
    words = words_of(REPORT)
    plain = text_places(words, "How much for Harbour?")[0]
    about = text_places(words, "Which value does the chart show for Harbour?")[0]
    assert about[0] == plain[0]
    told = text_places(words, "Which value does the index show for Harbour?")[0]
    assert told[1] < about[1], "an index, the page would have to name"
    assert text_places([], "What is the title?") == []


CARDS = """
Bastian Abendroth           Dario Gallagher
Phone: 935-436226           Phone: 962-93756
E-mail:                     E-mail: ilse@example.com
bruno@example.org           Department: Warehouse
Department: Legal affairs


Jonas Thornbury             Renata Grimaldi
Phone: 565-251043           Phone: 365-6691
Department: Laboratory      Department: Field service
"""
FORM = """
Last name           First name
ADAMS               SAMUEL
Street
54 KING STREET
Occupation          Member since
CARPENTER           2025
"""


def test_a_card_is_read_down_beside_another() -> None:
    words = words_of(CARDS)
    assert "Legal" in _said(words, "What is the department of Bastian Abendroth?")
    assert "Laboratory" in _said(words, "What is the department of Jonas Thornbury?")


def test_a_label_of_a_form_speaks_for_its_value_alone() -> None:
    words = words_of(FORM)
    support = word_support(words, "What is the last name?")
    scores = {word.text: told.score for word, told in support.items()}
    assert scores["ADAMS"] == 1.0
    assert max(scores[text] for text in ("CARPENTER", "KING", "SAMUEL")) < 0.6


def test_a_head_of_department_is_no_heading() -> None:
    page = REPORT + "\nHead of department    Mira Falk\n"
    words = _tall(words_of(page), "Harvest outlook")
    assert _said(words, "Which heading does the page have?") == "Harvest outlook"
    assert _said(words, "What kind of document is this?") == "Harvest outlook"
    assert "Mira" in _said(words, "Who is the head?")
