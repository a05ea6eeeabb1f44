"""A page that does not have what a question asks for hardly answers it, whoever else it knows."""

from __future__ import annotations

import pytest

from hydra_rag.lines import group_lines
from hydra_rag_agents.asked_for import asked_support
from hydra_rag_agents.priors import line_priors
from hydra_rag_agents.text_context import said
from hydra_rag_agents.wording import in_page_words
from tests.agents.test_places import INVOICE, words_of

CLUBS = """
Club             Members     Hall
SC Lindau        44297       Gate 39
Blue Herons      32823       Level 43A
"""
BOOKING = """
Guest name       Vera Hall
Client number    35077
Site             Oslo
Rate             $92.50

Please call 0931 4477 or write to desk@example.org before you arrive.
"""
FAULTS = """
Code     What to do
E1       Empty the tank
E2       Close the door
"""
LETTER = """
Ruth Turner
Account Manager
"""


def support(page: str, question: str) -> float:
    words = words_of(page)
    return asked_support(group_lines(words), in_page_words(question, words))


@pytest.mark.parametrize(
    ("page", "question"),
    [
        (CLUBS, "How many members does Blue Herons have?"),
        (CLUBS, "What is the hall of SC Lindau?"),
        (CLUBS, "Where does SC Lindau play?"),
        (BOOKING, "What is the name of the guest?"),
        (BOOKING, "What is the customer number?"),  # by another expression
        (BOOKING, "In which city is the hotel?"),  # no label needs to say that Oslo is one
        (BOOKING, "What does it cost?"),
        (BOOKING, "What is the e-mail address?"),  # shown by its form
        (BOOKING, "What is the telephone number of the hotel?"),
        (INVOICE, "What is the order number?"[:0] + "What is the invoice number?"),
        (INVOICE, "Who sent the invoice?"),  # by its letterhead
        (FAULTS, "What is the remedy for E2?"),
        (LETTER, "What is the position of Ruth Turner?"),  # the title shows what it is
        ("Invoice: 4711    7 May 2024", "What is the invoice number?"),  # a label that says less
        ("Manager    Leo Falk", "Who is the project manager?"),
        ("", "What is the fee?"[:0]),
    ],
)
def test_what_the_page_has_changes_nothing(page: str, question: str) -> None:
    assert support(page, question) == 1.0


@pytest.mark.parametrize(
    ("page", "question"),
    [
        (CLUBS, "What is the fee of Blue Herons?"),
        (CLUBS, "Which discount does SC Lindau give?"),
        (CLUBS, "When was the insurance started?"),
        (BOOKING, "What is the name of the hotel?"),  # the name is the guest's
        (BOOKING, "What is the invoice number?"),  # the number is the client's
        (BOOKING, "Who approved the stay?"),
        (INVOICE, "What is the weight of the office chair?"),
        (INVOICE, "What is the e-mail address of Kestrel Foods?"),
        ("Bill to    Vera Hall", "What is the bill number?"),  # "Bill to" is no bill
    ],
)
def test_what_the_page_lacks_leaves_little(page: str, question: str) -> None:
    assert support(page, question) <= 0.25


@pytest.mark.parametrize(
    ("page", "question"),
    [
        (CLUBS, "In which language is Blue Herons run?"),
        (CLUBS, "How many goals did Blue Herons score?"),
        (BOOKING, "What is the claim number?"),
        (BOOKING, "Who is the chairman of the board?"),
    ],
)
def test_words_without_known_others_tell_less(page: str, question: str) -> None:
    assert 0.25 < support(page, question) < 1.0


def test_it_counts_in_the_support_of_every_word() -> None:
    lines = group_lines(words_of(CLUBS))

    def most(question: str) -> float:
        return max(prior.supports for line in line_priors(lines, lines, question) for prior in line)

    assert 0 < most("What is the fee of Blue Herons?") < 0.5 * most("What is the hall of Blue Herons?")


def test_another_letter_at_the_beginning_is_another_word() -> None:
    assert said({"sender"}, {"tender"}) == said({"height"}, {"weight"}) == set()
    assert said({"invoice", "custommer"}, {"lnvoice", "customer"}) == {"invoice", "custommer"}
    assert said({"invoice"}, {"nvoice"}) == {"invoice"}
