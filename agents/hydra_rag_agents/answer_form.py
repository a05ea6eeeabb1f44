"""The form that an answer must have, by the words of its question."""

from __future__ import annotations

import re

from hydra_rag_agents.units import is_amount

__all__ = ["fits_form", "wants_digits", "wants_name", "wants_place"]

_DIGITS = re.compile(
    r"^\s*when\b|\bhow (many|much|long|far|old|tall|heavy|large|big|fast|deep|high|wide)\b"
    r"|\b(what|which) (?:(?:is|was|are|were) (?:[\w'’-]+ ){0,4}|(?:[\w'’-]+ )?)"
    r"(date|number|price|amount|total|year|weight|telephone|phone|cost|percentage|fee|temperature|time|age|size|distance|length|width|height|depth|"
    r"share|proportion|rate|score|quantity|value|capacity|volume|power|voltage|pressure|speed|duration|code|"
    r"postcode|iban)\b",
    re.IGNORECASE,
)
_PLACE = re.compile(
    r"^\s*where\b|^\s*(?:(?:in|to|at|from|into|on) )?(?:which|what) (?:\w+ )?"
    r"(?:city|town|country|place|site|venue|street|department|building|language|colou?r|hall|room|gate|platform|shelf)\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"^\s*(who|whose|whom)\b", re.IGNORECASE)


def wants_digits(question: str) -> bool:
    """Whether the question asks for a figure."""
    return bool(_DIGITS.search(question))


def wants_name(question: str) -> bool:
    """Whether the question asks for a person."""
    return bool(_NAME.search(question))


def wants_place(question: str) -> bool:
    """Whether the question asks where something is."""
    return bool(_PLACE.search(question))


def fits_form(question: str, answer: str) -> bool:
    """Whether the answer has the form that the question asks for: figures have digits, people have none, and
    no place is a sum of money."""
    has_digit = any(c.isdigit() for c in answer)
    if _NAME.search(question):
        return not has_digit
    if _PLACE.search(question) and is_amount(answer):
        return False
    return has_digit or not _DIGITS.search(question)
