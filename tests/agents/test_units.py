"""Values keep what belongs to them: their unit, their currency, the legal form of a company."""

from __future__ import annotations

import pytest

from hydra_rag.lines import group_lines
from hydra_rag_agents.priors import line_priors
from hydra_rag_agents.units import is_amount, ties, torn
from tests.agents.test_places import words_of


@pytest.mark.parametrize(
    ("one", "other"),
    [("12", "kg"), ("€", "3275.82"), ("EUR", "12"), ("28.20", "m³."), ("68", "minutes"), ("Optics", "GmbH"),
     ("Foods", "Inc."), ("1.5", "million"), ("-26", "°C"), ("14.50", "EUR,"), ("(USD", "12)"),
     ("033/786", "466053"), ("+45", "130"), ("016", "/"), ("882", "k")],
)  # fmt: skip
def test_what_belongs_together(one: str, other: str) -> None:
    assert torn(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("12", "apples"), ("Jena", "in"), ("7", "October"), ("EUR", "per"), ("the", "GmbH"), ("", ""),
     ("12", ""), ("Room", "12"), ("12", "12"), ("kg", "12")],
)  # fmt: skip
def test_what_does_not(one: str, other: str) -> None:
    assert not torn(one, other)


def _ends(page: str, question: str) -> dict[str, float]:
    lines = group_lines(words_of(page))
    priors = line_priors(lines, lines, question)
    words = [word.text for line in lines for word in line.words]
    return dict(zip(words, (prior.ends for line in priors for prior in line), strict=True))


def test_an_answer_ends_where_its_value_does() -> None:
    page = """
    The exhibition moves to Jena in March and then costs € 3275.82 including labour
    The pump may run for 68 minutes at most without any water in it
    """
    ends = _ends(page, "To which city does the exhibition move?")
    assert ends["Jena"] > 0.7 > 0.2 > ends["in"]
    assert ends["€"] < 0.2 < ends["3275.82"]
    assert ends["68"] < 0.2 < 0.7 < ends["minutes"]


def test_a_line_that_announces_the_next_one_is_no_end() -> None:
    ends = _ends("Address   Orchard Way 94,\n          Coimbra", "What is the address?")
    assert ends["94,"] < 0.2 < 0.7 < ends["Coimbra"]


def test_cells_side_by_side_belong_apart() -> None:
    page = "Item     Count   Price\nCable    12      USD 989.81"
    lines = group_lines(words_of(page))
    priors = line_priors(lines, lines, "What price does Cable have?")
    (cable, count, usd, figure) = priors[1]
    assert usd.begins > 0.9 > 0.6 > max(count.begins, cable.begins)
    assert count.ends > 0.7
    assert figure.begins < usd.begins


def test_the_sides_of_a_thing_are_one_value() -> None:
    assert ties("79 × 319 × 241 mm".split()) == [True] * 5 + [False]
    assert ties("4 mm x 5 mm".split()) == [True] * 4 + [False]
    assert ties(["grade", "x", "5"]) == [False] * 3


def test_groups_of_figures_in_a_sentence_are_one_number() -> None:
    page = "You can always reach our office on 278 832 067 before the noon break"
    ends = _ends(page, "What is the telephone number of the office?")
    assert max(ends["278"], ends["832"]) < 0.2 < 0.4 < ends["067"]


def test_what_is_counted_is_asked_for_already() -> None:
    page = "In all, 14 guests came to the fair in spring this year"
    assert _ends(page, "How many guests came to the fair?")["14"] >= 0.5
    assert _ends(page.replace("guests", "days"), "How many guests came to the fair?")["14"] < 0.2


def test_a_currency_between_two_figures_is_the_second_ones() -> None:
    assert ties(["2.804", "USD", "22.593,35"]) == [False, True, False]
    assert ties(["2.804", "USD", "open"]) == [True, False, False]
    assert ties([]) == []


@pytest.mark.parametrize("text", ["22.14 SEK", "€ 5", "CHF 3112.25", "9.6 %", "5$", "USD 1"])
def test_amounts(text: str) -> None:
    assert is_amount(text)


@pytest.mark.parametrize("text", ["Hall 35W", "Level 43A", "12 kg", "Gate 5", "SEKtor 7", "May 2001", ""])
def test_what_is_no_amount(text: str) -> None:
    assert not is_amount(text)
