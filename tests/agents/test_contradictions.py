"""Kinds of values that no question of a kind asks for."""

from __future__ import annotations

import pytest

from hydra_rag_agents.contradictions import contradicts
from hydra_rag_agents.ports import EvidenceLine, WordPrior
from tests.agents.test_spans import choice, spans_of


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When was the patient born?", "Greta Falk"),
        ("When was the company founded?", "212 employees"),
        ("When was the company founded?", "212"),
        ("When is it due?", "$92.50"),
        ("What is the ship date?", "Vera Hall"),
        ("Who is the chairman?", "212 employees"),
        ("What is the VAT number of Alder Foods?", "$430.04"),
        ("What is the serial number?", "Have"),
        ("What is the order number?", "7 May 2024"),
        ("What is the e-mail address of the service?", "every 3 years"),
        ("What is the phone number?", "Room 12"),
        ("How many warehouses are there?", "June 2026"),
        ("Where is the course held?", "22.14 SEK"),
        ("At which site does she work?", "December 01, 2023"),
        ("Since when has she been there?", "(20) 939-45231"),
        ("What is the phone number?", "1953 Page 1"),
        ("What is the total amount due?", "12/07/2026"),
        ("What is the postcode?", "Postcode"),
        ("From when is the end?", "End"),
        ("How much does it cost?", "senior"),
    ],
)
def test_another_kind_contradicts(question: str, answer: str) -> None:
    assert contradicts(question, answer)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When was the patient born?", "12.03.1980"),
        ("How much is the fee?", "free of charge"),
        ("How much is the reduction?", "half the price"),
        ("When was the house built?", "1891"),
        ("When does it open?", "9 am"),
        ("When does it open?", "on weekdays"),
        ("When is it due?", "30 days after delivery"),
        ("When is it due?", "2nd June"),
        ("On which day does the technician come?", "Tuesday"),
        ("Who is the chairman?", "Vera Hall"),
        ("What is the order number?", "PO 292811"),
        ("What is the order number?", "TFN-AIU"),
        ("What is the e-mail address?", "desk@example.org"),
        ("What is the phone number?", "0931 4477"),
        ("How many warehouses are there?", "two"),
        ("How many are given for chond?", "74.37"),
        ("Which is larger, North or South?", "North"),
        ("What is the heading of this order?", "ORDER"),
        ("How many items are there?", "1,200 pieces"),
        ("What was the number of orders worth?", "$619,500"),
        ("What does error code H21 mean?", "paper jam"),
        ("Where is the serial number printed?", "under the tank"),
        ("Where is the course held?", "Room 12"),
        ("What is the total?", "see below"),
        ("When was it?", "2024-2025"),
        ("", ""),
    ],
)
def test_what_may_answer_does_not(question: str, answer: str) -> None:
    assert not contradicts(question, answer)


def lines_of(place: float, supports: float = 0.5) -> list[EvidenceLine]:
    return [EvidenceLine("Vera Hall", (WordPrior(0.9, 0.5, supports, place),) * 2)]


def test_a_contradiction_is_rather_refused() -> None:
    told = {"Vera Hall": -6.0, "not found": -6.0}
    assert choice(spans_of(lines_of(1.0), question="Who was born?", refused=-2.0), told).text == "Vera Hall"
    assert (
        choice(spans_of(lines_of(1.0), question="When was she born?", refused=-2.0), told).text == "not found"
    )


def test_what_no_word_of_the_question_speaks_for_is_rather_refused() -> None:
    told = {"Vera Hall": -6.0, "not found": -6.0}
    assert choice(spans_of(lines_of(0.1), question="Who was born?", refused=-2.0), told).text == "Vera Hall"
    assert choice(spans_of(lines_of(0.0), question="Who was born?", refused=-2.0), told).text == "not found"


def test_a_label_that_says_all_may_have_a_value_of_any_kind() -> None:
    told = {"Vera Hall": -6.0, "not found": -6.0}
    lines = lines_of(1.0, supports=1.0)
    assert choice(spans_of(lines, question="What is the e-mail?", refused=-2.0), told).text == "Vera Hall"
