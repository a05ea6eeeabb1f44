"""Tables: which values the name of a row and the head of a column speak for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import median

from hydra_rag_agents.cells import Cell
from hydra_rag_agents.forms import LIST_GAP, is_form
from hydra_rag_agents.labels import holds_value

__all__ = ["in_table"]

#: So much further than the next one stands a row of another table.
_WIDER = 1.45
#: A table's row has at least so many cells under those of its head.
_SHARED = 2
#: So many rows above are looked at for the cell over another one.
_MISSED = 3


def in_table(rows: Sequence[Sequence[Cell]], number: int, at: int, query: str) -> Iterator[tuple[Cell, bool]]:
    """What cell ``at`` of row ``number`` speaks for in its table: the cells after it in its row, those under
    it in its column; and whether each is the next one."""
    head, row = rows[number][at], rows[number]
    if len(row) < 2 or head.sentence:
        return
    for step, cell in enumerate(row[at + 1 :]):
        if not cell.prose and not cell.told & head.told and _in_column(rows, cell):
            yield cell, not step
    names = not at and any(cell.figures for cell in row)
    if holds_value(head, query) or ((head.figures or names) and _in_column(rows, head)):
        return  # a value, or the name of a row
    if is_form(rows, number):
        return
    pitch, last = 0.0, number
    for line in rows[number + 1 :]:
        under = [cell for cell in line if head.over(cell)]
        shared = _shared(row, line)
        if not shared or (not under and len(line) == 1 and line[0].prose):  # of the card beside this one
            continue
        alone = len(line) == 1 and bool(under)
        merged = alone and sum(other.over(line[0]) for other in row) > 1  # a row that was read as one cell
        loose = alone and not merged and ":" not in under[0].text  # nor is it one of this card
        if loose or any(cell.prose for cell in under):
            return
        if len(line) > 1 and shared < _SHARED:
            return  # other columns: another table, or a form
        further = _middle(line) - _middle(rows[last])
        if further > (LIST_GAP + 1) * line[0].height or (pitch and further > _WIDER * pitch):
            return
        pitch, last = max(pitch, further), line[0].row
        for cell in () if merged else under:
            yield cell, last == number + 1


def _shared(head: Sequence[Cell], line: Sequence[Cell]) -> int:
    """How many cells of ``line`` stand under those of ``head``."""
    return sum(any(other.over(cell) for other in head) for cell in line)


def _in_column(rows: Sequence[Sequence[Cell]], cell: Cell) -> bool:
    """Whether another cell stands over this one in the same table. A reader misses some."""
    number = cell.row
    below = _middle(rows[number + 1]) - _middle(rows[number]) if number + 1 < len(rows) else math.inf
    if number + 1 < len(rows) and _shared(rows[number], rows[number + 1]) < _SHARED:
        below = math.inf
    for line in reversed(rows[max(0, number - _MISSED) : number]):
        above = _middle(rows[line[0].row + 1]) - _middle(line)
        if len(line) < 2 or above > min((LIST_GAP + 1) * cell.height, _WIDER * below):
            return False
        if any(other.over(cell) and not other.prose for other in line):
            return True
        if _shared(line, rows[number]) < _SHARED:
            return False
    return False


def _middle(row: Sequence[Cell]) -> float:
    return median(cell.box.top + cell.box.bottom for cell in row) / 2
