"""Tables: which values the name of a row and the head of a column speak for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hydra_rag_agents.cells import Cell
from hydra_rag_agents.forms import LIST_GAP, is_form
from hydra_rag_agents.labels import holds_value

__all__ = ["in_table"]

#: So much more space than between its rows ends a table.
_WIDER = 2.0
#: A table's row has at least so many cells under those of its head.
_SHARED = 2


def in_table(rows: Sequence[Sequence[Cell]], number: int, at: int, query: str) -> Iterator[tuple[Cell, bool]]:
    """What cell ``at`` of row ``number`` speaks for in its table: the cells after it in its row, those under
    it in its column; and whether each is the next one."""
    head, row = rows[number][at], rows[number]
    if len(row) < 2 or head.sentence:
        return
    for step, cell in enumerate(row[at + 1 :]):
        if not cell.prose and not cell.told & head.told and _above(rows, cell) is not None:
            yield cell, not step
    names = not at and any(cell.figures for cell in row)
    if holds_value(head, query) or ((head.figures or names) and _above(rows, head) is not None):
        return  # a value, or the name of a row
    if is_form(rows, number):
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


def _above(rows: Sequence[Sequence[Cell]], cell: Cell) -> Cell | None:
    """The cell over this one in the same table."""
    line = rows[cell.row - 1] if cell.row else ()
    for other in line if len(line) > 1 else ():
        if other.over(cell) and not other.prose and cell.box.top - other.box.bottom <= LIST_GAP * cell.height:
            return other
    return None
