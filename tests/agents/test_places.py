"""Places on a page that answer a query: on made layouts, and on documents whose evidence boxes are known."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_rag.geometry import Box, union
from hydra_rag.values import Word
from hydra_rag_agents.places import text_places, word_support
from hydra_rag_indexing.files.load import load_pages

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LETTER, HEIGHT = 10, 20


def words_of(page: str, pitch: int = 30) -> list[Word]:
    """Words where the characters of ``page`` stand: two spaces or more part its cells."""
    words = []
    for row, line in enumerate(page.strip("\n").split("\n")):
        at = 0
        for text in line.split(" "):
            if text:
                left, top = at * LETTER, row * pitch
                words.append(Word(text, Box(left, top, left + len(text) * LETTER, top + HEIGHT)))
            at += len(text) + 1
    return words


def best(page: str, query: str, pitch: int = 30) -> str:
    """The words of the first place."""
    words = words_of(page, pitch)
    box = text_places(words, query)[0][0]
    return " ".join(w.text for w in words if box.intersect(w.box).area)


INVOICE = """
Kestrel Foods Inc.                       INVOICE


Invoice number      INV-960              Bill to
Invoice date        7 September 2026     Beacon Logistics
Due date            7 October 2026       39 King Street

Description              Quantity    Unit price    Amount
Office chair, mesh back         9       $196.55    $1,768
Filing cabinet                  4        $98.00      $392
Please quote the invoice number when you pay.
"""
SLIDE = """
Budget           Project lead     Team size

$1.5 million     Paula Rossi      22 people



Dates are fixed in May.
"""
SHEET = """
Colour        steel
Material      brass
Warranty      four years
Weight        1.42 kg
"""
LETTER_TEXT = """
Thank you for being our customer. We have found a tariff that
suits you better. It is called Green and starts on 1 January.
The monthly payment will be low. Please write to Nora if the
meter can not be reached on Friday. We do the rest for you all.
"""
CHART = """
Figure 1. Revenue by quarter
                4.4
  2.1
                             2.7

Quarter 1     Quarter 2     Quarter 3
"""

NOTE = """
Delivery note

Weight: 407.0 kg
Ship date: 19 December 2025
Volume: 22.65 m
"""
BARS = """
  602                          549

              373
January     February     March     April


The spare key is kept in the office under the stairs near the door.
"""
CARDS = """
Halmstad          Evora
Opened: 1927      Opened: 1956
Visitors: 41      Visitors: 42


Utrecht           Freiburg
Opened: 1945      Opened: 1979
Visitors: 37      Visitors: 48
"""
CODES = """
Code     Meaning             What to do
E8       tank full           empty the tank
E9       filter blocked      clean the filter
"""
TASKS = """
Task               Who                   Until
Order tables       Bo Whitlock           1 May
Print posters      Ida Castellanos       15 May
Insurance          Maren Oduya           30 April
"""


@pytest.mark.parametrize(
    ("page", "query", "value"),
    [
        (INVOICE, "What is the invoice number?", "Invoice number INV-960"),
        (INVOICE, "When is the invoice due?", "Due date 7 October 2026"),
        (INVOICE, "Which company is billed?", "Bill to Beacon Logistics"),
        (INVOICE, "invoice date", "Invoice date 7 September 2026"),
        (SLIDE, "What is the budget?", "Budget $1.5 million"),
        (SLIDE, "Who leads the project?", "Project lead Paula Rossi"),
        (SHEET, "What is the colour?", "Colour steel"),
        (SHEET, "Which material is it made of?", "Material brass"),
        (SHEET, "How much does it weigh?", "Weight 1.42 kg"),
        (LETTER_TEXT, "When does the tariff start?", "It is called Green and starts on 1 January."),
        (CHART, "What was the revenue in quarter 3?", "2.7 Quarter 3"),
        (NOTE, "What is the ship date?", "Ship date: 19 December 2025"),
        (NOTE, "What is the weight?", "Weight: 407.0 kg"),
        (BARS, "What is the value for January?", "602 January"),
        (BARS, "What is the value for February?", "373 February"),
        (CARDS, "How many visitors did Utrecht have?", "Visitors: 37"),
        (CARDS, "When was the branch in Freiburg opened?", "Freiburg Opened: 1979"),
        (CODES, "What does error code E8 mean?", "Code Meaning E8 tank full"),
        (TASKS, "Who prints the posters?", "Print posters Ida Castellanos"),
    ],
)
def test_a_value_with_what_names_it(page: str, query: str, value: str) -> None:
    assert best(page, query) == value


def test_row_and_column_of_a_table_meet() -> None:
    assert "$98.00" in best(INVOICE, "What is the unit price of the filing cabinet?")
    assert best(INVOICE, "What is the quantity of the office chair?").endswith("back 9")


def test_a_sentence_goes_on_in_the_next_line() -> None:
    found = best(LETTER_TEXT, "Who hears of meters that are not reached, and by whom: is it Nora?")
    assert "Please write to Nora if the meter can not be reached on Friday." in found


def test_nothing_asked_for_gives_no_place() -> None:
    assert text_places(words_of(SHEET), "tariff of the visitors") == []
    assert text_places([], "colour") == []
    assert text_places(words_of(SHEET), "") == []
    assert text_places(words_of(SHEET), "colour", 0) == []


texts = st.text("abc 1.:%é", min_size=1, max_size=6).map(lambda t: t.strip() or "a")
boxes = st.builds(
    lambda x, y, w, h: Box(x, y, x + w, y + h),
    st.integers(0, 300),
    st.integers(0, 300),
    st.integers(1, 90),
    st.integers(1, 40),
)


@given(
    st.lists(st.builds(Word, texts, boxes), max_size=25), st.text("abc 1?", max_size=12), st.integers(1, 4)
)
def test_places_are_made_of_words(words: list[Word], query: str, top: int) -> None:
    places = text_places(words, query, top)
    assert len(places) <= top
    scores = [score for _, score in places]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    for box, _ in places:
        inside = [w.box for w in words if box.intersect(w.box) == w.box]
        assert inside
        assert union(inside) == box


def test_on_the_evidence_of_documents_not_seen_before(tmp_path: Path) -> None:
    made = [sys.executable, str(EXAMPLES / "make_examples.py"), "--seed", "41", "--out", str(tmp_path)]
    subprocess.run(made, check=True, capture_output=True)
    questions = json.loads((tmp_path / "questions.json").read_text(encoding="utf-8"))["questions"]
    pages = {
        (path.name, page.number): page.words
        for path in (tmp_path / "documents").glob("*.pdf")
        for page in load_pages(path)
    }
    asked = [q for q in questions if (q["document"], q["page"]) in pages]
    hits = 0
    for q in asked:
        places = text_places(pages[q["document"], q["page"]], q["question"])
        true = Box(*q["box"])
        hits += bool(places) and places[0][0].intersect(true).area > 0.5 * true.area
    assert len(asked) >= 20
    assert hits / len(asked) >= 0.9


def test_what_stands_in_a_line_with_a_word_of_the_question_is_not_unsaid() -> None:
    words = words_of("quarter    17,130    households\nCustoms    2,890     Gate 7\n\n\n\nRoom       41")
    support = {word.text: told.score for word, told in word_support(words, "How many households?").items()}
    assert 0 < support["17,130"] <= 1
    assert support["41"] == 0


def test_a_sentence_of_three_lines_is_one() -> None:
    page = """
The pump of the new machine must not run any longer than
it takes to fill the tank that stands beside the door for
about 75 minutes without water in its pipes and valves.
"""
    told = word_support(words_of(page), "How long may the pump run?")
    assert {word.text: s.score for word, s in told.items()}["75"] > 0.3
