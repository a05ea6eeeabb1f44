"""Whether a page knows whom or what a question names: "the members of SC Nordhafen" need a Nordhafen."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hydra_rag.lines import Line
from hydra_rag.metrics import similarity

__all__ = ["names_support"]

_WORD = re.compile(r"[\w.'’/-]*\w")
_LEAST_LETTERS = 3
#: What was read may differ this much from what was asked (similarity, 0 to 1).
_ALIKE = 0.7
#: What is left of an answer's support on a page that has none of the names.
_UNKNOWN = 0.2


def names_support(lines: Sequence[Line], question: str) -> float:
    """1.0 where ``lines`` (a page) hold at least half of the letters of the question's names, or it has none;
    else a small factor. Names are words with a capital letter within the question, and words with digits."""
    names = _names(question)
    if not names:
        return 1.0
    here = {match.group().casefold() for line in lines for match in _WORD.finditer(line.text)}
    known = sum(len(name) for name in names if name in here or _nearly(name, here))
    return 1.0 if 2 * known >= sum(map(len, names)) else _UNKNOWN


def _names(question: str) -> set[str]:
    words = [match.group() for match in _WORD.finditer(question)]
    if sum(word[:1].isupper() for word in words) > len(words) / 2:  # a title, or shouting
        words = [word for word in words if any(c.isdigit() for c in word)]
    told = (
        word
        for number, word in enumerate(words)
        if any(c.isdigit() for c in word)
        or (len(word) >= _LEAST_LETTERS and number and word[0].isupper() and not word.isupper())
    )
    return {word.casefold().removesuffix("'s").removesuffix("’s") for word in told}


def _nearly(name: str, here: set[str]) -> bool:
    return len(name) > _LEAST_LETTERS and any(
        abs(len(name) - len(other)) <= 2 and (name in other or similarity(name, other) >= _ALIKE)
        for other in here
    )
