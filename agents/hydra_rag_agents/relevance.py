"""How well a value fits its question, by the words around it on the page and by its own form.

A small reader is often sure of a value that belongs to another question. The page's text layer knows better:
the question's words stand near the value that answers it, and mostly on the same page.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from hydra_rag.lines import Line, group_lines
from hydra_rag.values import Word
from hydra_rag_agents.matching import Match, nearness
from hydra_rag_agents.state import PageId
from hydra_rag_agents.text_context import content_tokens, said

__all__ = ["Relevance", "fits_form", "line_priors"]

#: Parts of the factor: what a value keeps without any support, its page's words, the words around it.
_FLOOR, _PAGE, _NEAR = 0.3, 0.25, 0.45
_MISFORMED = 0.6
_START, _ASKED, _MIDDLE, _LEAST_NEAR, _LABEL = 0.2, 0.4, 0.5, 0.25, 0.3
_DIGITS = re.compile(
    r"^\s*(when|how (many|much|long|far|old|tall|heavy|often|large|big|fast))\b"
    r"|\b(what|which) (is|was|are|were)?\s*(the )?(?:\w+ ){0,3}(date|number|price|amount|total|year|weight|"
    r"telephone|phone|cost|percentage|fee|temperature|time|age|size|distance|length|width|height)\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"^\s*(who|whose)\b", re.IGNORECASE)


class Relevance:
    """Made for one question and the pages that were found for it."""

    def __init__(self, question: str, pages: Mapping[PageId, Sequence[Word]]) -> None:
        self._question = question
        asked = set(content_tokens(question))
        self._found = {page: _told(asked, words) for page, words in pages.items()}
        seen = Counter(token for found in self._found.values() for token in found)
        # A word that every page has tells little; one that none has tells most, against all of them.
        self._worth = {token: math.log(1 + (len(pages) + 1) / (seen[token] + 1)) for token in asked}

    def factor(self, page: PageId, match: Match | None, answer: str) -> float:
        """0.0 to 1.0, for a value at ``match`` on ``page`` (``None``: the page does not print it)."""
        total = sum(self._worth.values())
        share = sum(self._worth[t] for t in self._found.get(page, ())) / total if total else 1.0
        near = 0.0 if match is None else min(1.0, 1.25 * match.nearness)
        form = 1.0 if fits_form(self._question, answer) else _MISFORMED
        return (_FLOOR + _PAGE * share + _NEAR * near) * form


def line_priors(lines: Sequence[Line], chosen: Sequence[Line], question: str) -> list[tuple[float, ...]]:
    """For every word of the ``chosen`` of ``lines`` (the page) how likely it is to begin the answer, 0 to 1;
    one for every piece between white space.

    The question's words stand beside or above a value: the word with most of them is the measure. They are
    seldom a value themselves, and neither is what stands before a colon. A question for a figure is answered
    with digits soon, one for a person without.
    """
    asked = set(content_tokens(question))
    wants_digits, wants_name = bool(_DIGITS.search(question)), bool(_NAME.search(question))
    near = [
        [nearness(lines, index, (word,), question) for word in lines[index].words]
        for index in (lines.index(line) for line in chosen)
    ]
    told = [[bool(said(asked, content_tokens(word.text))) for word in line.words] for line in chosen]
    values = [n for row, own in zip(near, told, strict=True) for n, a in zip(row, own, strict=True) if not a]
    most = max([_LEAST_NEAR, *values])
    found: list[tuple[float, ...]] = []
    for line, row, own in zip(chosen, near, told, strict=True):
        priors: list[float] = []
        labels = _labels(line)
        for number, word in enumerate(line.words):
            likely = _START + (1 - _START) * min(1.0, row[number] / most)
            likely *= _ASKED if own[number] else 1.0
            if number and _goes_on(line.words[number - 1], word) and not own[number - 1]:
                likely *= _MIDDLE
            soon = "".join(w.text for w in line.words[number : number + 3])
            if wants_digits and not any(c.isdigit() for c in soon):
                likely *= _MISFORMED
            if wants_name and any(c.isdigit() for c in word.text):
                likely *= _MISFORMED
            if number in labels:
                likely *= _LABEL
            priors += [likely] * len(word.text.split())
        found.append(tuple(priors))
    return found


def _labels(line: Line) -> set[int]:
    """Words that stand before a colon in their cell."""
    found: set[int] = set()
    cell: list[int] = []
    for number, word in enumerate(line.words):
        if number and word.box.left - line.words[number - 1].box.right > max(1, word.box.height):
            cell = []
        cell.append(number)
        if word.text.endswith(":"):
            found.update(cell)
    return found


def _goes_on(before: Word, word: Word) -> bool:
    """Whether ``word`` is likely the second of two that are one value: figures or names side by side."""
    if word.box.left - before.box.right > max(1, word.box.height) or before.text.endswith(":"):
        return False
    figures = before.text[-1:].isdigit() and word.text[:1].isdigit()
    return figures or (before.text[:1].isupper() and word.text[:1].isupper())


def fits_form(question: str, answer: str) -> bool:
    """Whether the answer has the form that the question asks for: figures have digits, people have none."""
    has_digit = any(c.isdigit() for c in answer)
    if _NAME.search(question):
        return not has_digit
    return has_digit or not _DIGITS.search(question)


def _told(asked: set[str], words: Sequence[Word]) -> set[str]:
    return {t for line in group_lines(words) for t in said(asked, content_tokens(line.text))}
