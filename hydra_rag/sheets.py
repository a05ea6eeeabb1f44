"""Sheets: parts of a page's lines drawn at one size and set line under line, to be read in one pass.

Most of a page is paper. On a sheet there is little of it, every line of print has the height that the tower
reads best, and its middle lies in a row of patches instead of on the border of two.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from hydra_rag.read_words import Read, row_reads
from hydra_rag.reading import STEPS, RowText
from hydra_rag.text_lines import TextLine

__all__ = ["Sheet", "sheets"]

#: Pixels of a sheet: its width, what a line takes of its height, where in that the middle of its print is,
#: and the page that is shown beside its ink.
WIDE, _LANE, _MIDDLE, _BESIDE = 640, 32, 12, 12
#: Pixels of paper between two parts of lines, and lines of a sheet.
_BETWEEN, _LINES = 4, 4
_PATCH, _CELL = 16, 32


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a part of a line was put: its lane and the pixels across; ``left``: in pixels of the page;
    ``scale``: pixels of the sheet to one of the page."""

    lane: int
    at: int
    width: int
    left: float
    middle: float
    scale: float


@dataclass(frozen=True, slots=True)
class Sheet:
    image: Image.Image
    places: tuple[_Place, ...]

    @property
    def cells(self) -> int:
        return self.image.width * self.image.height // _CELL**2

    def reads(self, rows: Sequence[RowText], grey: npt.NDArray[np.int16]) -> Iterator[Read]:
        """What was read, in pixels of the page ``grey``. ``rows``: of the sheet's rows of patches."""
        for place in self.places:
            row = rows[(place.lane * _LANE + _MIDDLE) // _PATCH]
            unit = _PATCH / STEPS / place.scale
            start, end = place.at / _PATCH * STEPS, (place.at + place.width) / _PATCH * STEPS
            inside = [i for i, step in enumerate(row.steps) if start <= step < end]
            moved = place.left / unit - start
            text = RowText(
                "".join(row.text[i] for i in inside),
                tuple(row.steps[i] + moved for i in inside),
                tuple(row.logprobs[i] for i in inside),
            )
            yield from row_reads(text, unit, grey, place.middle, _PATCH / place.scale, closer=True)


def sheets(page: Image.Image, lines: Sequence[TextLine], size: float) -> list[Sheet]:
    """``lines`` of a page with print ``size`` pixels high, the widest parts first."""
    parts = [
        (min(WIDE, math.ceil((b - a) * size / line.height) + 2 * _BESIDE), a, line)
        for line in lines
        for a, b in line.parts((WIDE - 2 * _BESIDE) * line.height / size)
    ]
    lanes: list[list[_Place]] = []
    ends: list[int] = []
    for width, left, line in sorted(parts, key=lambda part: -part[0]):
        scale = size / line.height
        lane = next((i for i, end in enumerate(ends) if end + width <= WIDE), len(lanes))
        if lane == len(lanes):
            lanes.append([])
            ends.append(0)
        beside = left - _BESIDE / scale
        lanes[lane].append(_Place(lane % _LINES, ends[lane], width, beside, line.middle, scale))
        ends[lane] += width + _BETWEEN
    return [
        _drawn(page, lanes[start : start + _LINES], max(ends[start : start + _LINES]) - _BETWEEN)
        for start in range(0, len(lanes), _LINES)
    ]


def _drawn(page: Image.Image, lanes: Sequence[Sequence[_Place]], wide: int) -> Sheet:
    size = math.ceil(wide / _CELL) * _CELL, math.ceil(len(lanes) * _LANE / _CELL) * _CELL
    sheet = Image.new("RGB", size, "white")
    for number, lane in enumerate(lanes):
        for place, after in zip(lane, [*(p.at for p in lane[1:]), size[0]], strict=True):
            part = _cut(page, place)
            paper = np.median(np.asarray(part).reshape(-1, 3), 0)
            colour = (int(paper[0]), int(paper[1]), int(paper[2]))
            sheet.paste(colour, (place.at, number * _LANE, after, (number + 1) * _LANE))
            sheet.paste(part, (place.at, number * _LANE))
    return Sheet(sheet, tuple(place for lane in lanes for place in lane))


def _cut(page: Image.Image, place: _Place) -> Image.Image:
    """A part of the page as the sheet has it. Beyond the page's edge its last pixels go on."""
    left, top = place.left, place.middle - _MIDDLE / place.scale
    right, bottom = left + place.width / place.scale, top + _LANE / place.scale
    x0, y0, x1, y1 = math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)
    inside = max(0, x0), max(0, y0), min(page.width, x1), min(page.height, y1)
    part = page.crop(inside)
    if inside != (x0, y0, x1, y1):
        sides = ((inside[1] - y0, y1 - inside[3]), (inside[0] - x0, x1 - inside[2]), (0, 0))
        part = Image.fromarray(np.pad(np.asarray(part), sides, "edge"))
    box = (left - x0, top - y0, right - x0, bottom - y0)
    return part.resize((place.width, _LANE), Image.Resampling.BICUBIC, box=box)
