"""Words that belong to their neighbour: a currency or a unit to its figure, a legal form to its company."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

__all__ = ["is_amount", "ties", "torn"]

_CURRENCY = (
    r"[$€£¥₹]|zł|Kč|kr|Fr|EUR|USD|CHF|GBP|JPY|SEK|NOK|DKK|PLN|CZK|HUF|CAD|AUD|NZD|INR|CNY|BRL|euros?|dollars?"
    r"|pounds?|francs?"
)
_UNIT = (
    r"%|‰|°[CF]?|[mcdkµn]?m[²³]?|[kmµ]?g|t|[mc]?l|h|min|ms|[kMG]?Hz|[kMGT]i?B|[kM]?W|[kM]?Wh|[mk]?V|m?A|[kM]?Pa|bar|mbar|"
    r"km/h|m/s|mph|lbs?|oz|ft|in|mi|gal|kcal|kJ|dpi|px|pcs|"
    r"(?:millimet|centimet|met|kilomet|lit)(?:er|re)s?|(?:milli|kilo)?grams?|tons?|tonnes?|percent|degrees|"
    r"(?:second|minute|hour|day|week|month|year|people|piece|item|unit|page|volt|watt|mile|inche|point)s?"
    r"|[kKM]|mn|bn|[mM]io|million|billion"
)
_LEGAL = (
    r"GmbH|AG|KG|SE|Ltd|LLC|LLP|Inc|Corp|Co|plc|PLC|S\.?A|SARL|S\.?r\.?l|S\.?p\.?A|B\.?V|N\.?V"
    r"|AB|AS|A/S|Oyj?"
)
_BEFORE = re.compile(rf"[(]?(?:{_CURRENCY})\.?")
_AFTER = re.compile(rf"(?:{_CURRENCY}|{_UNIT})[.,;:)]*")
_AMOUNT = re.compile(rf"(?<!\w)(?:{_CURRENCY})\.?\s?\d|\d\s?(?:%|(?:{_CURRENCY})(?!\w))")
_CODE = re.compile(r"\+\d{1,3}|\(\d+\)|0\d{2,}(?:/\d*)?|/")
_DIALLED = re.compile(r"[\d/-]*\d[\d/-]*[.,;:)]*|/")
_TIMES = frozenset("x X × *".split())
_FORM = re.compile(rf"(?:{_LEGAL})[.,;:)]*")


def torn(one: str, other: str) -> bool:
    """Whether an answer that ends with ``one`` or begins with ``other``, which follows it, would tear what
    belongs together: ``12`` and ``kg``, ``€`` and ``5``, ``030`` and ``4711``, ``Harrow`` and ``GmbH``."""
    if _BEFORE.fullmatch(one):
        return other[:1].isdigit()
    if _CODE.fullmatch(one) and _DIALLED.fullmatch(other):
        return True
    if one[-1:].isdigit():
        return _AFTER.fullmatch(other) is not None
    return one[:1].isupper() and one[-1:].isalpha() and _FORM.fullmatch(other) is not None


def ties(words: Sequence[str]) -> list[bool]:
    """Whether each word of a cell belongs to the next one (:func:`torn`). A currency between two figures is
    the second one's: ``2.804 EUR 22.59`` holds two values."""
    pairs = [torn(one, other) for one, other in itertools.pairwise(words)] + [False]
    for at in range(len(pairs) - 1):
        pairs[at] &= not (pairs[at + 1] and _BEFORE.fullmatch(words[at + 1]))
    for at in range(1, len(words) - 1):  # 30 × 40 × 12 cm
        if words[at] in _TIMES and _measured(words[at - 1]) and words[at + 1][:1].isdigit():
            pairs[at - 1] = pairs[at] = True
    return pairs[: len(words)]


def _measured(word: str) -> bool:
    return word[:1].isdigit() or _AFTER.fullmatch(word) is not None


def is_amount(text: str) -> bool:
    """Whether there is a sum of money or a percentage in ``text``."""
    return _AMOUNT.search(text) is not None
