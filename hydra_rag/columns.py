"""Columns that stand closer than cells usually do: gaps that go on through the lines above and below."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from hydra_rag.values import Word

__all__ = ["column_breaks"]

#: In line heights: a gap that may part columns, what it has in common with those of the lines that it goes
#: through, and how far the next line may stand.
_GAP, _COMMON, _NEXT = 0.6, 0.5, 3.0
#: A gap between columns is so much wider than the page's usual one, which counts up to so many line heights.
_WIDER, _USUAL = 1.5, 0.6
#: In line heights: a gap that is wider is paper between things that have nothing to do with each other,
#: unless the next column begins (so nearly) where that of the line does.
_FAR, _BEGINS = 14.0, 1.5
#: So many lines above and below have the gap too; more of them where no figure stands beside it (aligned gaps
#: of few sentences are chance).
_LINES, _OF_WORDS = 2, 4

Gap = tuple[int, int]


def column_breaks(rows: Sequence[Sequence[Word]]) -> list[frozenset[int]]:
    """For every row of words (top to bottom, left to right), the words before which a column begins."""
    heights = [median(word.box.height for word in row) for row in rows]
    gaps = [[(a.box.right, b.box.left) for a, b in pairwise(row)] for row in rows]
    shares = sorted(
        (right - left) / max(1.0, height)
        for height, row in zip(heights, gaps, strict=True)
        for left, right in row
    )
    usual = shares[len(shares) // 4] if shares else 0.0
    least = max(_GAP, _WIDER * min(usual, _USUAL))
    return [
        frozenset(
            at + 1
            for at, gap in enumerate(gaps[number])
            if gap[1] - gap[0] >= least * heights[number]
            and _goes_on(rows, gaps, number, at, _COMMON * heights[number])
        )
        for number, row in enumerate(rows)
    ]


def _figure(one: Word, other: Word) -> bool:
    return any(c.isdigit() for c in one.text + other.text)


def _goes_on(
    rows: Sequence[Sequence[Word]], gaps: Sequence[Sequence[Gap]], number: int, at: int, least: float
) -> bool:
    """Whether gap ``at`` of a row goes on through enough of the lines above and below."""
    others = sum(_lines_with(rows, gaps, number, gaps[number][at], least, step) for step in (-1, 1))
    return others >= (_LINES if _figure(rows[number][at], rows[number][at + 1]) else _OF_WORDS)


def _lines_with(
    rows: Sequence[Sequence[Word]],
    gaps: Sequence[Sequence[Gap]],
    number: int,
    gap: Gap,
    least: float,
    step: int,
) -> int:
    """How many of the next lines (up to :data:`_OF_WORDS`; ``step`` -1: above, 1: below) have a part of
    ``gap`` of at least ``least`` pixels."""
    left, right = gap
    at, height = number + step, least / _COMMON
    for found in range(_OF_WORDS):
        if not 0 <= at < len(rows) or _apart(rows[at], rows[at - step]):
            return found
        alike = [(a, b) for a, b in gaps[at] if b - a <= _FAR * height or abs(b - gap[1]) <= _BEGINS * height]
        common = [(max(left, a), min(right, b)) for a, b in alike]
        left, right = max(common, key=lambda part: part[1] - part[0], default=(0, 0))
        if right - left < least:
            return found
        at += step
    return _OF_WORDS


def _apart(one: Sequence[Word], other: Sequence[Word]) -> bool:
    return abs(one[0].box.top - other[0].box.top) > _NEXT * max(one[0].box.height, other[0].box.height)
