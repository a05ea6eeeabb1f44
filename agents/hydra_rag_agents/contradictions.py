"""Kinds of values that can't answer a question: no price is a telephone number, and no person is a date."""

from __future__ import annotations

import re

from hydra_rag_agents.answer_form import fits_form, wants_name, wants_place
from hydra_rag_agents.headline import ABOUT_PAGE
from hydra_rag_agents.kinds import told_kind
from hydra_rag_agents.text_context import content_tokens

__all__ = ["contradicts"]

_WHEN = re.compile(
    r"^\W*(?:(?:by|until|since|from|on|at) )?(?:when|(?:what|which) (?:day|date|time|year))\b|\bdate\W*$",
    re.IGNORECASE,
)
_TIMES = re.compile(
    r"\d|\b(?:(?:mon|tues|wednes|thurs|fri|satur|sun)days?|noon|midnight|morning|evening|afternoon|night|spring|summer"
    r"|autumn|winter|easter|christmas|today|tomorrow|yesterday|now|immediately|once|daily|weekly|monthly|yearly"
    r"|annually|quarterly|always|never|after|before|during|until|when|as|at|in|on|end|beginning|start|year|month|week"
    r"|every|first|second|third|last|next|january|february|march|april|may|june|july|august|september|october"
    r"|november|december|permanent|unlimited|open|pending)\b",
    re.IGNORECASE,
)
#: What is measured of time; other figures with a word behind them are not when something happens.
_DURATION = re.compile(
    r"(?:second|sec|minute|min|hour|hr|h|day|d|week|month|year|am|pm|a\.m|p\.m|uhr|st|nd|rd|th)s?\b\.?",
    re.IGNORECASE,
)
_MEASURE = re.compile(r"-?[\d.,]+ ?([^\W\d_]+.*)")
_YEAR = re.compile(r"[12]\d{3}")
#: "Order number", not "the number of orders".
_NUMBER = re.compile(
    r"\b(?!(?:the|a|an|what|which|total)\b)\w+ (?:number|code|id)\b(?=\W*$| (?:of|for|on|does|do)\b)|\biban\b"
    r"|\bnumber (?:(?:of the|on|does|do)\b|\W*$)",
    re.IGNORECASE,
)
_MAIL = re.compile(r"\be-?mail\b", re.IGNORECASE)
_PHONE = re.compile(r"\b(?:tele)?phone\b", re.IGNORECASE)
#: Digits of a telephone number at least, of a date at most; a word beside such a number.
_DIGITS, _DATE = 5, 8
_WORD = re.compile(r"[^\W\d_]{4,}")
_MONEY = re.compile(
    r"\b(?:amount|price|cost|fee|total|sum)(?: (?:due|payable|paid))?(?: (?:by|of|for)\b.*)?\W*$",
    re.IGNORECASE,
)
#: A sum is a figure, or a word for one.
_HOW_MUCH = re.compile(r"^\W*(?:by |to )?how much\b", re.IGNORECASE)
_SUM = re.compile(
    r"\d|\b(?:free|none|nothing|nil|zero|gratis|complimentary|included?|request|unlimited|half|double|one|two|three|four"
    r"|five|six|seven|eight|nine|ten|eleven|twelve|twenty|fifty|dozen|hundred|thousand|million|billion)\b",
    re.IGNORECASE,
)
_CHOICE = re.compile(r"\bor\b", re.IGNORECASE)
_COUNT = re.compile(r"\bhow many\b", re.IGNORECASE)


def contradicts(question: str, answer: str) -> bool:
    """Whether ``answer`` is of a kind that ``question`` does not ask for, by the words of both, or says only
    what the question said."""
    if _echoes(question, answer):
        return True
    if _HOW_MUCH.search(question) and not _SUM.search(answer):
        return True
    kind, digits = told_kind(answer), sum(character.isdigit() for character in answer)
    if wants_name(question):
        return digits > 0
    if _MAIL.search(question):
        return "@" not in answer
    if _WHEN.search(question):
        bare = kind == "number" and not _YEAR.fullmatch(answer)
        other = kind in ("money", "percent", "email") or _measured(answer)
        other |= kind == "phone" and digits > _DATE
        return bare or other or not _TIMES.search(answer)
    if _PHONE.search(question):
        return digits < _DIGITS or _WORD.search(answer) is not None
    if _COUNT.search(question):
        clock = kind == "time" and ":" in answer
        return clock or kind in ("money", "date", "email", "names", "company")
    if _NUMBER.search(question):
        return not (digits or answer.isupper()) or kind in ("money", "percent", "date")
    if _MONEY.search(question):
        return kind in ("date", "email")
    return wants_place(question) and (kind in ("date", "email") or not fits_form(question, answer))


def _echoes(question: str, answer: str) -> bool:
    """Whether the answer is the label that was asked for. A choice ("North or South?") names its answers, and
    an order may be headed "Order"."""
    said, asked = set(content_tokens(answer)), set(content_tokens(question))
    return bool(said) and said <= asked and not asked & ABOUT_PAGE and not _CHOICE.search(question)


def _measured(answer: str) -> bool:
    """Whether it is so much of something that is no time."""
    found = _MEASURE.fullmatch(answer.strip())
    return found is not None and told_kind(answer) != "date" and not _DURATION.match(found[1])
