"""Sums of money whose marks were lost in reading."""

from __future__ import annotations

import pytest

from hydra_rag.geometry import Box
from hydra_rag.money import mended_sums
from hydra_rag.values import Word


def line(text: str, gap: int = 5) -> list[Word]:
    """Words ten pixels a letter and twenty high, ``gap`` pixels apart."""
    words, left = [], 0
    for part in text.split():
        words.append(Word(part, Box(left, 0, left + 10 * len(part), 20)))
        left = words[-1].box.right + gap
    return words


def mended(text: str, *others: str, gap: int = 5) -> str:
    words = line(text, gap)
    found = mended_sums([words, *map(line, others)])[0]
    assert [word.box for word in found] == [word.box for word in words]
    return " ".join(word.text for word in found)


@pytest.mark.parametrize(
    ("text", "other", "meant"),
    [
        ("£9,77097", "Total £12.50", "£9,770.97"),
        ("£1,209,77097", "Total £12.50", "£1,209,770.97"),
        ("EUR 53.45734", "2.100,00 EUR", "EUR 53.457,34"),
        ("53,45734 €", "431.33 EUR", "53,457.34 €"),
        ("$55.453.58", "", "$55,453.58"),
        ("55,453,58 €", "", "55.453,58 €"),
        ("29,722.87 S", "$ 12.50", "29,722.87 $"),
        ("S26,044.97.", "$ 12.50", "$26,044.97."),
        ("$/N H-597", "", "S/N H-597"),
        # what may be meant
        ("S26,044.97", "12.50 EUR", "S26,044.97"),
        ("$26 $N", "", "$26 $N"),
        ("£9,77097", "", "£9,77097"),  # nothing shows which mark it is
        ("£9,77097", "12,50 €", "£9,77097"),  # a rate of exchange
        ("£9,77097", "£12.50 and 12,50 €", "£9,77097"),
        ("9,77097", "Total £12.50", "9,77097"),  # no sum
        ("12.03.58", "Total £12.50", "12.03.58"),  # a date
        ("1.234.56", "Total £12.50", "1.234.56"),
        ("$55,453.58", "", "$55,453.58"),
        ("29,722.87 S", "EUR 12.50", "29,722.87 S"),
        ("No. 4 S", "$ 12.50", "No. 4 S"),
        ("", "", ""),
    ],
)
def test_marks_are_put_right_where_one_reading_makes_sense(text: str, other: str, meant: str) -> None:
    assert mended(text, other) == meant


def test_what_stands_apart_belongs_to_other_columns() -> None:
    assert mended("29,722.87 S", "$ 12.50", gap=30) == "29,722.87 S"
    assert mended("9,77097 €", "Total 12.50 €", gap=30) == "9,77097 €"
