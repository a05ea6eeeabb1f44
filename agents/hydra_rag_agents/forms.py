"""Forms: lists of labels, each with its value beside it, which look like tables of two columns."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hydra_rag_agents.cells import Cell
from hydra_rag_agents.meanings import is_label

__all__ = ["LIST_GAP", "is_form"]

#: In line heights: what parts two rows of a table or a list.
LIST_GAP = 2.5
#: So much more space than between its rows ends a list, where it is more than this of a line.
_WIDER, _CLOSE = 2.0, 0.75
#: So many known labels make a form.
_LABELS = 2


def is_form(rows: Sequence[Sequence[Cell]], number: int) -> bool:
    """Whether a row of two is one of a list of labels with their values: these are figures and words."""
    if len(rows[number]) != 2 or is_label(rows[number][1].text):
        return False
    above, below = _pairs(rows, number, -1), _pairs(rows, number, 1)
    block = [*reversed(above), rows[number], *below]
    if len(block) < _LABELS or any(row[0].figures for row in block):
        return False
    known = sum(is_label(row[0].text) for row in block)
    many = known >= _LABELS and 2 * known > len(block)
    return many or len({row[1].figures for row in block[1:]}) > 1


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
