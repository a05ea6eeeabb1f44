"""Who a letter is to and from: its greeting and its closing say so, not the words of the question."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hydra_rag.lines import group_lines
from hydra_rag.values import Word

__all__ = ["in_letter_words", "is_closing"]

_MAIL = r"(?:the|this) (?:letter|message|e-?mail|mail|note)"
_TO = re.compile(
    rf"^\s*(?:who(?:m)? is (?:{_MAIL} )?(?:addressed|for)|who(?:m)? is {_MAIL} to"
    rf"|(?:to|for) whom (?:is|was) {_MAIL}|who(?:m)? (?:was|did) {_MAIL} (?:sent|written) to)\b",
    re.IGNORECASE,
)
_FROM = re.compile(
    rf"^\s*who (?:signed|wrote|sent) (?:it|{_MAIL}(?: (?:from|of|by|to|about) .+)?)?\W*$", re.IGNORECASE
)
_GREETING = re.compile(r"^(dear|hello|hi)\s+\w", re.IGNORECASE)
_CLOSING = re.compile(r"^(?:\w+ )?(?:\w+ )?(regards|sincerely|faithfully|wishes|truly)\W*$", re.IGNORECASE)


def is_closing(text: str) -> bool:
    """Whether a line closes a letter: the name under it leaves room for a signature."""
    return _CLOSING.search(text) is not None


def in_letter_words(question: str, words: Sequence[Word]) -> str:
    """The question put in the words beside which a letter's page (``words``) names the person; unchanged
    where it asks for something else, or the page has no such line."""
    for asks, line_says in ((_TO, _GREETING), (_FROM, _CLOSING)):
        if not asks.search(question):
            continue
        for line in group_lines(words):
            if found := line_says.search(line.text):
                return f"Who is {found.group(1).casefold()}?"
    return question
