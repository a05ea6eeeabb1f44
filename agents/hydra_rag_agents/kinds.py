"""What kind of thing a question asks for, and what kind a run of words is: signs for a choice only."""

from __future__ import annotations

import re

__all__ = ["asked_kind", "shape", "told_kind"]

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
#: Kinds of text, the first that fits (full match where it begins with ``^`` and ends with ``$``).
_TOLD = (
    ("email", r"@"),
    ("web", r"https?:|www\.|\w\.(?:de|com|org|net|example)\b"),
    ("money", r"(?=.*\d).*(?:[$€£¥]|\b(?:eur|usd|chf|gbp)\b)"),
    ("percent", r"\d\s?%|percent"),
    ("time", r"^(?!.*\d[./]\d+[./]\d).*\b\d{1,2}[:.h]\d{2}\b(?!\.)"),
    ("date", rf"(?=.*\d).*\b{_MONTH}\b|\b\d{{1,4}}[./-]\d{{1,2}}[./-]\d{{1,4}}\b"),
    ("year", r"^(?:19|20)\d\d$"),
    ("phone", r"^[+(]?\d[\d ()/.-]{6,}$"),
    ("number", r"^-?[\d.,]+$"),
    ("measure", r"^-?[\d.,]+ ?[^\d\s]+$"),
    ("figures", r"^-?[\d.,]"),
)
#: Kinds of questions, the first that fits.
_ASKED = (
    ("who", r"\b(?:who|whose|whom|which person|name|person)\b"),
    ("when", r"\b(?:when|date|day)\b"),
    ("year", r"\byear\b"),
    ("time", r"\b(?:time|hours?|o.clock)\b"),
    ("where", r"\b(?:where|city|town|country|place)\b"),
    ("address", r"\b(?:address|street)\b"),
    ("email", r"e-?mail"),
    ("phone", r"phone|\bcall\b|\bdial|\btel"),
    ("how many", r"how many"),
    ("how much", r"how much|\b(?:cost|price|total|amount|fee|budget|sum)\b|\bpay"),
    ("how long", r"how (?:long|often|far|high|wide|deep|old|heavy|fast|large|big|tall)"),
    ("share", r"percent|share|rate|proportion|by how much"),
    ("company", r"company|vendor|supplier|firm|manufacturer"),
    ("number", r"\b(?:number|code|id|no|iban|account)\b"),
    ("measure", r"weight|length|temperature|voltage|pressure|height|size|area|volume|power|speed|capacity"),
    ("title", r"title|heading"),
)
_COMPANY = re.compile(r"\b(?:gmbh|ltd|llc|ag|sa|inc|plc|co|bv|ab|oy|se|kg|s\.a)\b\.?$", re.IGNORECASE)
_PARTNERS = re.compile(r"[A-Z][\w'’-]*(?: [A-Z][\w'’-]*)? & [A-Z][\w'’-]*(?: [A-Z][\w'’-]*)?")  # Cole & Sons
_TOLD_PATTERNS = [(kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _TOLD]
_ASKED_PATTERNS = [(kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _ASKED]
#: A name has at most so many words, a code at most so many.
_NAME_WORDS, _CODE_WORDS = 4, 2


def asked_kind(question: str) -> str:
    """The kind of thing that ``question`` asks for; "other" where no word tells."""
    return next((kind for kind, pattern in _ASKED_PATTERNS if pattern.search(question)), "other")


def told_kind(text: str) -> str:
    """The kind of thing that ``text`` looks like."""
    text = text.strip()
    for kind, pattern in _TOLD_PATTERNS:
        if pattern.search(text):
            return kind
    words = text.split()
    if any(c.isdigit() for c in text):
        return "code" if any(c.isupper() for c in text) and len(words) <= _CODE_WORDS else "mixed"
    if _COMPANY.search(text) or _PARTNERS.fullmatch(text):
        return "company"
    goes_on = any(_COMPANY.search(word) for word in words[:-1])  # "Fenwick AB. The" is no name
    if 1 < len(words) <= _NAME_WORDS and all(word[:1].isupper() for word in words) and not goes_on:
        return "names"
    return ("capital " if text[:1].isupper() else "") + ("word" if len(words) == 1 else "phrase")


def shape(word: str) -> str:
    """How ``word`` begins: "digit", "capitals", "capital", "small", "sign"; "none" where there is none."""
    if not word:
        return "none"
    if word[0].isdigit():
        return "digit"
    if word[0].isalpha():
        return ("capitals" if word[1:2].isupper() else "capital") if word[0].isupper() else "small"
    return "sign"
