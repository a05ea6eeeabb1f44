"""Sums of money whose marks were lost or taken for others in reading.

A point between two figures is a few pixels of ink. What a sum looks like leaves little choice where it is
gone: groups of thousands have three figures, and the others on the page show what stands before the cents.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from hydra_rag.values import Word

__all__ = ["mended_sums"]

_SIGN = re.compile(r"[$€£¥]|\b(?:USD|EUR|GBP|CHF|JPY|SEK|NOK|DKK|CAD|AUD)\b")
_CENTS = re.compile(r"(?:^|\D)\d{1,3}(?:[.,]\d{3})*([.,])\d\d(?!\d)")
_FIGURES = re.compile(r"\d[\d.,]*\d")
#: "9,77097": the mark before the cents is gone. "55.453.58": that of the thousands was taken for another.
_JOINED = re.compile(r"(\d{1,3}(?:([.,])\d{3})*)([.,])(\d{3})(\d\d)")
_MIXED = re.compile(r"(\d{1,3}(?:([.,])\d{3})+)\2(\d\d)")
#: "$/N" is the serial number's label; "S26,044.97" a sum where others are in dollars.
_LETTER = re.compile(r"\$(?:/[A-Z]|[a-z]{2})")
_DOLLAR = re.compile(r"S\d{1,3}(?:,\d{3})*\.\d\d\W*")
_OTHER = {".": ",", ",": "."}
#: In heights of the line: how far the sign of a sum stands from it.
_BESIDE = 0.6


def mended_sums(lines: Sequence[Sequence[Word]]) -> list[list[Word]]:
    """The words of a page's lines, with the marks of sums put right where only one reading makes sense: next
    to a currency, and where other sums of the page show which mark stands before the cents. An "S" before or
    right behind a sum is the dollar that other sums of the page have, a dollar before letters an "S"."""
    sums = [word.text for line in lines for word in line]
    marks = [found[1] for text in sums if (found := _CENTS.search(text))]
    cents = max(_OTHER, key=marks.count) if marks else None
    if cents is not None and marks.count(cents) == marks.count(_OTHER[cents]):
        cents = None
    dollars = any("$" in text for text in sums)
    return [[_mended(line, at, cents, dollars=dollars) for at in range(len(line))] for line in lines]


def _mended(line: Sequence[Word], at: int, cents: str | None, *, dollars: bool) -> Word:
    word = line[at]
    if _LETTER.match(word.text):
        return replace(word, text=f"S{word.text[1:]}")
    if dollars and _DOLLAR.fullmatch(word.text):
        return replace(word, text=f"${word.text[1:]}")
    before = line[at - 1] if at else None
    after = line[at + 1] if at + 1 < len(line) else None
    if word.text == "S" and dollars and before is not None and _near(before, word):
        return replace(word, text="$") if _CENTS.search(before.text) else word
    signs = [other.text for other in (before, after) if other is not None and _near(word, other)]
    found = _FIGURES.search(word.text)
    if found is None or not any(map(_SIGN.search, (word.text, *signs))):
        return word
    return replace(
        word, text=word.text[: found.start()] + _marked(found[0], cents) + word.text[found.end() :]
    )


def _marked(figures: str, cents: str | None) -> str:
    if mixed := _MIXED.fullmatch(figures):
        groups, mark, last = mixed.groups()
        return f"{groups.replace(mark, _OTHER[mark])}{mark}{last}"
    joined = _JOINED.fullmatch(figures)
    if joined and cents is not None and {joined[2], joined[3]} <= {None, _OTHER[cents]}:
        return f"{joined[1]}{joined[3]}{joined[4]}{cents}{joined[5]}"
    return figures


def _near(one: Word, other: Word) -> bool:
    gap = max(one.box.left, other.box.left) - min(one.box.right, other.box.right)
    return gap < _BESIDE * max(one.box.height, other.box.height)
