"""Tables: which values the name of a row and the head of a column speak for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from hydra_rag_agents.cells import Cell
from hydra_rag_agents.labels import holds_value

__all__ = ["LIST_GAP", "in_table"]

#: In line heights: what parts two rows of a table or a list.
LIST_GAP = 2.5
#: So much more space than between its rows ends a table, or a list, where it is more than this of a line.
_WIDER, _CLOSE = 2.0, 0.75
#: A table's row has at least so many cells under those of its head.
_SHARED = 2


def in_table(rows: Sequence[Sequence[Cell]], number: int, at: int, query: str) -> Iterator[tuple[Cell, bool]]:
    """What cell ``at`` of row ``number`` speaks for in its table: the cells after it in its row, those under
    it in its column; and whether each is the next one."""
    head, row = rows[number][at], rows[number]
    if len(row) < 2:
        return
    for step, cell in enumerate(row[at + 1 :]):
        if not cell.prose and not cell.told & head.told and _above(rows, cell) is not None:
            yield cell, not step
    names = not at and any(cell.figures for cell in row)
    if holds_value(head, query) or ((head.figures or names) and _above(rows, head) is not None):
        return  # a value, or the name of a row
    if _is_form(rows, number):
        return
    bottom, usual = head.box.bottom, 0
    for step, line in enumerate(rows[number + 1 :]):
        under = [cell for cell in line if head.over(cell)]
        if not under and len(line) == 1:  # a line of the card beside this one
            continue
        loose = len(line) == 1 and not any(":" in cell.text for cell in under)  # nor is it one of this card
        if not under or loose or any(cell.prose for cell in under):
            return
        if len(line) > 1 and sum(any(other.over(cell) for other in row) for cell in line) < _SHARED:
            return  # other columns: another table, or a form
        gap = under[0].box.top - bottom
        if gap > LIST_GAP * under[0].height or (step and gap > max(_WIDER * usual, 0.5 * head.height)):
            return
        bottom, usual = under[0].box.bottom, max(usual, gap)
        for cell in under:
            yield cell, not step


def _is_form(rows: Sequence[Sequence[Cell]], number: int) -> bool:
    """Whether a row of two is one of a list of labels with their values: these are figures and words."""
    if len(rows[number]) != 2:
        return False
    above, below = _pairs(rows, number, -1), _pairs(rows, number, 1)
    block = [*reversed(above), rows[number], *below]
    return len({row[1].figures for row in block[1:]}) > 1 and not any(row[0].figures for row in block)


def _pairs(rows: Sequence[Sequence[Cell]], number: int, step: int) -> list[Sequence[Cell]]:
    """The rows of two that follow row ``number`` (``step`` -1: stand over it) closely and in line."""
    found: list[Sequence[Cell]] = []
    beside = [_gap(rows, number, way) for way in (-1, 1)]
    most = max(_WIDER * min(beside), _CLOSE * rows[number][0].height)
    at = number
    while (gap := _gap(rows, at, step)) <= most and gap < math.inf:
        at += step
        first, last = rows[at][0], rows[at - step][0]
        if len(rows[at]) != 2 or any(cell.prose for cell in rows[at]):
            break
        if abs(first.box.left - last.box.left) > first.height:
            break
        found.append(rows[at])
    return found


def _gap(rows: Sequence[Sequence[Cell]], number: int, step: int) -> float:
    """Pixels between row ``number`` and the next one (``step`` -1: the one above)."""
    if not 0 <= number + step < len(rows):
        return math.inf
    one, other = rows[number][0].box, rows[number + step][0].box
    gap = max(one.top, other.top) - min(one.bottom, other.bottom)
    return gap if gap <= LIST_GAP * rows[number][0].height else math.inf


def _above(rows: Sequence[Sequence[Cell]], cell: Cell) -> Cell | None:
    """The cell over this one in the same table."""
    line = rows[cell.row - 1] if cell.row else ()
    for other in line if len(line) > 1 else ():
        if other.over(cell) and not other.prose and cell.box.top - other.box.bottom <= LIST_GAP * cell.height:
            return other
    return None
