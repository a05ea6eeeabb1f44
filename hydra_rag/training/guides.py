"""Where each character of an answer stands, so that attention can be taught to look there.

The page maker knows the place of every word. A copying head is hard to discover from answers alone and easy
to learn when its attention is supervised: the idea of supervised attention (Liu et al. 2016,
https://arxiv.org/abs/1609.04186) on the rows that predict the answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hydra_rag.geometry import Box
from hydra_rag.nano import tokens
from hydra_rag.nano.build import CELL
from hydra_rag.values import Word

__all__ = [
    "Sources",
    "asked_in_image",
    "asked_in_text",
    "asked_words",
    "image_sources",
    "merge",
    "merge_asked",
    "text_sources",
]

#: For each token of an answer the positions in the prefix where it can be copied from (empty: nowhere).
Sources = list[frozenset[int]]


def image_sources(
    answer: str, words: Sequence[Word], boxes: Sequence[Box] | None, rows: int, cols: int, start: int
) -> Sources:
    """Image positions of the characters of ``answer``.

    ``words`` in reading order and ``boxes`` (the evidence; ``None``: all words) in pixels of an image of
    ``rows`` × ``cols`` cells whose first position in the prefix is ``start``. Where the words in the boxes do
    not spell the answer, every character may come from anywhere in the boxes.
    """
    inside = [w for w in words if boxes is None or any(_holds(box, w.box) for box in boxes)]
    spelled = "".join(w.text for w in inside)
    at = spelled.find("".join(answer.split()))
    if at < 0:
        if boxes is None:
            return []
        whole = frozenset(start + c for box in boxes for c in _cells(box, rows, cols))
        return [whole for _ in answer]
    cells = [frozenset(start + c for c in _cells(box, rows, cols)) for w in inside for box in _letters(w)]
    found: Sources = []
    for ch in answer:
        if ch.isspace():
            found.append(cells[at] if at < len(cells) else frozenset())
        else:
            found.append(cells[at])
            at += 1
    return found


def text_sources(answer: str, text: str, start: int) -> Sources:
    """Positions of the characters of ``answer`` in ``text``, which begins at ``start``; [] where it does not
    occur or is not one token a character."""
    if not answer or len(tokens.encode(text)) != len(text):
        return []
    places = []
    at = text.find(answer)
    while at >= 0:
        places.append(at)
        at = text.find(answer, at + 1)
    return [frozenset(start + p + i for p in places) for i in range(len(answer))] if places else []


def merge(first: Sources, second: Sources) -> Sources:
    """Both kinds of places; either may be []."""
    if not first or not second:
        return first or second
    return [a | b for a, b in zip(first, second, strict=True)]


#: Question words without a place on the page.
_IDLE = frozenset(
    (
        "what which when where who whom whose how much many long does did the for and was were are has have "
        "had this that with from page please tell give find say says would like know"
    ).split()
)
_WORD = re.compile(r"[^\W_][\w'-]*[^\W_]", re.UNICODE)


def asked_in_image(
    question: str, words: Sequence[Word], rows: int, cols: int, start: int
) -> dict[int, frozenset[int]]:
    """For the last character of every word of ``question`` that is printed on the page: the cells of these
    words. Keys are indices into ``question``."""
    printed = [(found.group().casefold(), w.box) for w in words if (found := _WORD.search(w.text))]
    out: dict[int, frozenset[int]] = {}
    for at, word in asked_words(question):
        boxes = [box for text, box in printed if _same(word, text)]
        if boxes:
            out[at] = frozenset(start + c for box in boxes for c in _cells(box, rows, cols))
    return out


def asked_in_text(question: str, text: str, start: int) -> dict[int, frozenset[int]]:
    """As :func:`asked_in_image`, for positions of ``text``, which begins at ``start``."""
    if not text or len(tokens.encode(text)) != len(text):
        return {}
    printed = [(m.group().casefold(), m.start(), m.end()) for m in _WORD.finditer(text)]
    out: dict[int, frozenset[int]] = {}
    for at, word in asked_words(question):
        places = [p for t, a, b in printed if _same(word, t) for p in range(start + a, start + b)]
        if places:
            out[at] = frozenset(places)
    return out


def merge_asked(one: dict[int, frozenset[int]], two: dict[int, frozenset[int]]) -> dict[int, frozenset[int]]:
    return {at: one.get(at, frozenset()) | two.get(at, frozenset()) for at in sorted({*one, *two})}


def asked_words(question: str) -> list[tuple[int, str]]:
    """(index of its last character, case-folded) of every word of ``question`` that a page may print."""
    if len(tokens.encode(question)) != len(question):
        return []
    found = ((m.end() - 1, m.group().casefold()) for m in _WORD.finditer(question))
    return [(at, word) for at, word in found if word not in _IDLE and len(word) >= 2]


def _same(asked: str, printed: str) -> bool:
    """The same word, or forms of one (weigh, weight; delivered, delivery)."""
    return asked == printed or (min(len(asked), len(printed)) >= 5 and asked[:5] == printed[:5])


def _holds(box: Box, word: Box) -> bool:
    x, y = (word.left + word.right) / 2, (word.top + word.bottom) / 2
    return box.left - 2 <= x <= box.right + 2 and box.top <= y <= box.bottom


def _letters(word: Word) -> list[Box]:
    """The boxes of a word's characters, taken as equally wide."""
    box, step = word.box, (word.box.right - word.box.left) / max(1, len(word.text))
    return [
        Box(int(box.left + i * step), box.top, int(box.left + (i + 1) * step), box.bottom)
        for i in range(len(word.text))
    ]


def _cells(box: Box, rows: int, cols: int) -> list[int]:
    """Cells that the middle half of the box's height and its whole width touch."""
    quarter = (box.bottom - box.top) / 4
    top, bottom = int((box.top + quarter) // CELL), int((box.bottom - quarter) // CELL)
    left, right = int(box.left // CELL), int(max(box.left, box.right - 1) // CELL)
    return [
        r * cols + c
        for r in range(max(0, top), min(rows - 1, bottom) + 1)
        for c in range(max(0, left), min(cols - 1, right) + 1)
    ]
