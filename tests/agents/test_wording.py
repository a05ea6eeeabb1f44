"""Questions put in a page's own words."""

from __future__ import annotations

import pytest

from hydra_rag_agents.meanings import GROUPS
from hydra_rag_agents.places import text_places
from hydra_rag_agents.relevance import Relevance
from hydra_rag_agents.state import AskSettings, PageId, Turn
from hydra_rag_agents.text_context import content_tokens
from hydra_rag_agents.wording import in_page_words, reworded
from tests.agents.test_places import words_of

PARCEL = """
Shipper       Copperfield Foods      Haulier       Lanternwood
Pieces        60                     Departure     01/11/2019
Gross weight  416.4 kg               Living space  80 m
"""


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Who is the carrier?", "Who is the haulier?"),
        ("How many packages are there?", "How many pieces are there?"),
        ("When is the check-out?", "When is the departure?"),
        ("How large is the living area?", "How space is the living space?"),
        ("How heavy is the shipment?", "How weight is the shipment?"),
        ("Who is the haulier?", "Who is the haulier?"),
        ("What is the gross weight?", "What is the gross weight?"),
        ("Who is the landlord?", "Who is the landlord?"),
        ("", ""),
    ],
)
def test_only_what_the_page_says_otherwise_is_said_otherwise(question: str, expected: str) -> None:
    assert in_page_words(question, words_of(PARCEL)) == expected


LABELS = """
Manager               Ivo Brandt
Client number         18746913
Bill to               Lena Falk
Heart rate            84 bpm
Heating type          heat pump
Matriculation no.     714167

Fault             Solution      Status
Lamp broken       Replace it    done
"""


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Who is the customer?", "Who is the bill to?"),
        ("Who is the client?", "Who is the bill to?"),
        ("What is the client number?", "What is the client number?"),
        ("To whom is the invoice addressed?", "Who is the bill to?"),
        ("Which heading does the page have?", "Which heading does the page have?"),
        ("What is the pulse?", "What is the heart rate?"),
        ("What kind of heating is it?", "What heating type is it?"),
        ("What is the student ID?", "What is the matriculation no?"),
        ("What should be done for a broken lamp?", "What should be solution for a broken lamp?"),
    ],
)
def test_a_label_is_meant_rather_than_a_word_within_another(question: str, expected: str) -> None:
    assert in_page_words(question, words_of(LABELS)) == expected


MISREAD = """
Stze           80 x 40 mm
Poges          14
Applcant       Mia Falk
Tax            7 USD
Valid to       3 May 2031
Nett           512 USD
"""


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is the size?", "What is the stze?"),
        ("What are the pages?", "What are the poge?"),
        ("What are the dimensions?", "What are the stze?"),
        ("Who is the full name?", "Who is the applcant?"),
        ("What is the fax?", "What is the fax?"),  # a known word is read as it stands
        ("When is the last day?", "When is the valid to?"),
    ],
)
def test_a_label_is_known_with_a_letter_misread(question: str, expected: str) -> None:
    assert in_page_words(question, words_of(MISREAD)) == expected


ORDER = """
Supplier       Harrow Foods
Item           Lamp
Qty            6
Name           Mia Falk
Date           3 May 2031
"""


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Which firm is given as company?", "Which firm is given as supplier?"),
        ("Which company made the lamp?", "Which company made the lamp?"),
        ("How many units are there?", "How many qty are there?"),
        ("Which unit does Mia Falk lead?", "Which unit does Mia Falk lead?"),
        ("Who is the applicant?", "Who is the name?"),
        ("What is the name of the bank?", "What is the name of the bank?"),
        ("When was it issued?", "When is the date?"),
    ],
)
def test_vague_words_mean_a_label_only_where_nothing_else_is_asked(question: str, expected: str) -> None:
    assert in_page_words(question, words_of(ORDER)) == expected


def test_who_signed_a_letter_is_said_by_its_closing() -> None:
    letter = words_of("Approved by: Vera Falk\n\nSincerely,\nLeo Hart")
    assert in_page_words("Who signed the letter?", letter) == "Who signed the letter?"
    assert in_page_words("Who signed the contract?", letter) == "Who approved by the contract?"


def test_without_words_nothing_changes() -> None:
    assert in_page_words("Who is the carrier?", []) == "Who is the carrier?"


def test_the_answer_is_found_and_counts() -> None:
    words = words_of(PARCEL)
    turn = reworded(Turn("Who is the carrier?", AskSettings()), words)
    assert (turn.asked, turn.search_text) == ("Who is the haulier?", "Who is the haulier?")
    box = text_places(words, turn.asked)[0][0]
    assert "Lanternwood" in [w.text for w in words if box.intersect(w.box).area]
    page = PageId("d", 1)
    known = Relevance("Who is the carrier?", {page: words}).factor(page, None, "Lanternwood")
    unknown = Relevance("Who is the landlord?", {page: words}).factor(page, None, "Lanternwood")
    assert known > unknown


def test_no_expression_stands_twice_in_a_group_or_is_empty() -> None:
    for group in GROUPS.strip().split("\n"):
        phrases = [tuple(content_tokens(text)) for text in group.split(", ")]
        assert all(phrases)
        assert len(phrases) > 1
