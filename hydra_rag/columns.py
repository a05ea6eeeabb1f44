"""Columns that stand closer than cells usually do: gaps that go on through the lines above and below."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
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

#: In line heights: a gap that parts cells wherever it is, and how exactly edges and gaps are known.
_CELL, _SHIFT = 1.5, 0.3
#: Lines of a table stand so evenly; so many words are text; a title is so much taller.
_EVEN, _TEXT, _TALLER = 1.35, 6, 1.35
#: A figure and its unit, a sum and its currency.
_UNIT = re.compile(r"\S*\d (?:(?![A-Z]{3})[^\W\d]{1,3}|[%°]\w?|[A-Z]{3}(?! \d))(?: |$)|(?:[A-Z]{3}|[$€£]) \d")

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
    breaks = [
        {
            at + 1
            for at, gap in enumerate(gaps[number])
            if gap[1] - gap[0] >= least * heights[number]
            and _goes_on(rows, gaps, number, at, _COMMON * heights[number])
        }
        for number, row in enumerate(rows)
    ]
    _fill(rows, heights, breaks)
    return [frozenset(found) for found in breaks]


def _fill(rows: Sequence[Sequence[Word]], heights: Sequence[float], breaks: Sequence[set[int]]) -> None:
    """Add the breaks of lines whose gaps are narrower than those of the lines around them: where cells stand
    like theirs on both sides. Not in a list of labels with values, where long ones meet anywhere."""
    wide = [
        {at for at in range(1, len(row)) if _gap(row, at) >= _CELL * height}
        for row, height in zip(rows, heights, strict=True)
    ]
    tables = [number for number in range(len(rows)) if breaks[number] or wide[number]]
    more = True
    while more:
        known = [sorted(found | far) for found, far in zip(breaks, wide, strict=True)]
        added = {
            (number, at)
            for number in tables
            for at in range(1, len(rows[number]))
            if at not in known[number] and _like_others(rows, heights, known, number, at)
        }
        for number, at in added:
            breaks[number].add(at)
        more = bool(added)


def _like_others(
    rows: Sequence[Sequence[Word]],
    heights: Sequence[float],
    known: Sequence[Sequence[int]],
    number: int,
    at: int,
) -> bool:
    """Whether enough lines around part in two cells that stand like what is before and after word ``at``."""
    row, shift = rows[number], _SHIFT * heights[number]
    left, right = row[at - 1].box.right - shift, row[at].box.left + shift
    if right - left < shift:
        return False
    cells = _beside(row, known[number], at)
    if any(len(cell) >= _TEXT for cell in cells) or _UNIT.match(
        " ".join(word.text for word in row[at - 1 : at + 2])
    ):
        return False
    found = 0
    for other in (*_evenly(rows, number, -1), *_evenly(rows, number, 1)):
        line = rows[other]
        found += heights[number] <= _TALLER * heights[other] and any(
            line[one - 1].box.right < right
            and line[one].box.left > left
            and all(map(_aligned, cells, _beside(line, known[other], one), (2 * shift, 2 * shift)))
            for one in known[other]
        )
    return found >= (_LINES if _figure(row[at - 1], row[at]) else _LINES + 1)


def _evenly(rows: Sequence[Sequence[Word]], number: int, step: int) -> Iterator[int]:
    """The next lines (up to :data:`_OF_WORDS`; ``step`` -1: above, 1: below) as long as they stand evenly."""
    least, most = math.inf, 0.0
    for at in range(number + step, number + step * (_OF_WORDS + 1), step):
        if not 0 <= at < len(rows) or _apart(rows[at], rows[at - step]):
            return
        pitch = abs(_middle(rows[at]) - _middle(rows[at - step]))
        least, most = min(least, pitch), max(most, pitch)
        if most > _EVEN * least:
            return
        yield at


def _beside(row: Sequence[Word], known: Sequence[int], at: int) -> tuple[Sequence[Word], Sequence[Word]]:
    """The cells before and after word ``at``."""
    start = max((one for one in known if one < at), default=0)
    end = min((one for one in known if one > at), default=len(row))
    return row[start:at], row[at:end]


def _aligned(one: Sequence[Word], other: Sequence[Word], most: float) -> bool:
    """Whether two cells begin or end, or have their middles, at the same place."""
    left = one[0].box.left - other[0].box.left
    right = one[-1].box.right - other[-1].box.right
    return min(abs(left), abs(right), abs(left + right) / 2) <= most


def _middle(row: Sequence[Word]) -> float:
    return median(word.box.top + word.box.bottom for word in row) / 2


def _gap(row: Sequence[Word], at: int) -> int:
    return row[at].box.left - row[at - 1].box.right


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
