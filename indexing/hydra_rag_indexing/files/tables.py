"""Tables: widths of the columns, the heading again on every page, records where the columns are too many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Protocol

from hydra_rag_indexing.files.pdf_fonts import BOLD, CODE, Fonts
from hydra_rag_indexing.files.wrapping import LEADING, Piece, wrap

__all__ = ["Table", "draw_table"]

#: In points: what is free on each side of a cell's text, so that the gap between two is wider than a line is
#: high and nobody takes them for one phrase; what a column gets more where there is room; text that may be
#: broken within a word.
_CELL, _MORE, _BREAKABLE = 7.5, 16.0, 140.0
#: The size where the table fits as it is.
_LARGE = 11.0
_MEASURED = 500  # rows

Cell = list[Piece]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells; the first row is the heading when ``heading``."""

    rows: list[list[Cell]]
    heading: bool = True
    size: float = 9.5


class Sheet(Protocol):
    """What is written on. Points; ``y`` is the baseline of what was written last."""

    fonts: Fonts
    left: float
    width: float
    height: float
    y: float

    def room(self, height: float) -> bool: ...
    def line(self, line: Cell, x: float, y: float, size: float) -> None: ...
    def rule(self, width: float, thick: float) -> None: ...


def draw_table(sheet: Sheet, table: Table) -> None:
    """In columns; where whole words don't fit into these, record by record with the heading beside each
    value, as a wide sheet is read on a small screen."""
    rows = [row for row in table.rows if row]
    if not rows:
        return
    sheet.y -= 6
    for size in (_LARGE, table.size):
        natural, least = _measured(sheet.fonts, rows, size)
        spare = sheet.width - sum(natural)
        if spare >= 0:
            more = min(_MORE, spare / len(natural))
            _rows(sheet, rows, [wide + more for wide in natural], size, heading=table.heading)
            return
    if sum(least) <= sheet.width:
        _rows(sheet, rows, _shared(natural, least, sheet.width), size, heading=table.heading)
    elif table.heading and len(rows) > 1:
        _records(sheet, rows, size)
    else:
        _rows(sheet, rows, [sheet.width / len(natural)] * len(natural), size, heading=table.heading)


def _measured(fonts: Fonts, rows: list[list[Cell]], size: float) -> tuple[list[float], list[float]]:
    """(widths that need no second line, widths that break no word) of all columns."""
    natural = [20.0] * max(map(len, rows))
    least = list(natural)
    for row in rows[:_MEASURED]:
        for index, cell in enumerate(row):
            for line in "".join(text for text, _ in cell)[:2000].split("\n"):
                words = [fonts.width(BOLD, word) * size / 1000 for word in line[:200].split()]
                free = 2 * _CELL + 1
                whole = fonts.width(BOLD, line[:200]) * size / 1000
                natural[index] = max(natural[index], whole + free)
                least[index] = max(least[index], min(max(words, default=0.0), _BREAKABLE) + free)
    return natural, least


def _shared(natural: Sequence[float], least: Sequence[float], space: float) -> list[float]:
    """What is left beside whole words goes to the columns with more of them, by the square roots."""
    roots = [max(0.0, wide - low) ** 0.5 for wide, low in zip(natural, least, strict=True)]
    left = space - sum(least)
    return [low + left * root / sum(roots) for low, root in zip(least, roots, strict=True)]


def _records(sheet: Sheet, rows: list[list[Cell]], size: float) -> None:
    for row in rows[1:]:
        beside: list[tuple[Cell, Cell]] = list(zip_longest(rows[0], row, fillvalue=[]))
        pairs = [[_bold(name), value] for name, value in beside if any(text.strip() for text, _ in value)]
        if pairs:
            sheet.room(min(len(pairs) * (size * LEADING + 4), sheet.height))  # together where possible
            names = min(_measured(sheet.fonts, pairs, size)[0][0], 0.4 * sheet.width)
            _rows(sheet, pairs, [names, sheet.width - names], size, heading=False)
            sheet.y -= size


def _rows(
    sheet: Sheet, rows: list[list[Cell]], widths: Sequence[float], size: float, *, heading: bool
) -> None:
    def wrapped(row: list[Cell]) -> list[list[Cell]]:
        return [
            wrap(cell, sheet.fonts, size, wide - 2 * _CELL) for cell, wide in zip(row, widths, strict=False)
        ]

    step = size * LEADING
    head = wrapped([_bold(cell) for cell in rows[0]]) if heading else []
    again = heading and max(map(len, head)) * step < sheet.height / 3
    for index, row in enumerate(rows):
        cells = wrapped(row) if index or not heading else head
        depth = max(map(len, cells), default=1)
        fresh = sheet.room(min(depth * step + 6, sheet.height))
        if fresh and index and again:
            _row(sheet, head, widths, size, 0.9)
        _row(sheet, cells, widths, size, 0.9 if heading and not index else 0.4)


def _row(sheet: Sheet, cells: list[list[Cell]], widths: Sequence[float], size: float, rule: float) -> None:
    for number in range(max(map(len, cells), default=1)):
        sheet.room(size * LEADING)
        sheet.y -= size * LEADING
        x = sheet.left
        for cell, wide in zip(cells, widths, strict=False):
            if number < len(cell):
                sheet.line(cell[number], x + _CELL, sheet.y, size)
            x += wide
    sheet.y -= 4
    sheet.rule(sum(widths), rule)


def _bold(cell: Cell) -> Cell:
    return [(text, style if style == CODE else BOLD) for text, style in cell]
