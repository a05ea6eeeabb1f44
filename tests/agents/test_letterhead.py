"""Who issued an invoice that says so by its letterhead alone."""

from __future__ import annotations

import pytest

from hydra_rag_agents.cells import page_rows
from hydra_rag_agents.letterhead import asks_issuer, letterhead
from hydra_rag_agents.places import text_places
from tests.agents.test_places import words_of

INVOICE = """
INVOICE

Brandt & Falk
12 Mill Lane, Varna

Customer          Due date
Tallship AB       3 May 2024
"""


@pytest.mark.parametrize(
    ("question", "asks"),
    [
        ("Who sent the invoice?", True),
        ("Which company issued this bill?", True),
        ("Who is the issuer of the invoice?", True),
        ("Who sent the letter?", False),
        ("When was the invoice sent?", False),
        ("Who is the customer?", False),
    ],
)
def test_only_the_issuer_of_a_bill_is_asked_for(question: str, asks: bool) -> None:
    assert asks_issuer(question) is asks


def test_the_first_company_is_the_issuer_and_not_the_customer() -> None:
    words = words_of(INVOICE)
    box = text_places(words, "Who sent the invoice?")[0][0]
    assert [w.text for w in words if box.intersect(w.box).area] == ["Brandt", "&", "Falk"]


def test_a_label_says_more_than_the_letterhead() -> None:
    rows = list(page_rows(words_of(INVOICE.replace("Due date", "Seller  ")), set()))
    assert letterhead(rows) is None
    assert letterhead([]) is None


def test_a_label_is_no_letterhead() -> None:
    page = INVOICE.replace("Brandt & Falk\n12 Mill Lane, Varna", "Customer ID:    9080317")
    head = letterhead(list(page_rows(words_of(page), set())))
    assert head is None or head.text != "Customer ID:"
