"""Which bar of a chart is the highest or the lowest: the name under the largest or the smallest figure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hydra_rag_agents.cells import Cell

__all__ = ["asks_extreme", "extreme"]

_MOST, _LEAST = "highest|largest|biggest|greatest|tallest|most", "lowest|smallest|least|fewest|shortest"
_ASKS = re.compile(
    rf"^\W*which (?:(?:one|bar|column) )?(?:is|was|has|had|shows) (?:the )?(?:({_MOST})|{_LEAST})"
    r"(?: (?:one|bar|column|value|figure|number))?\W*$",
    re.IGNORECASE,
)
_FIGURE = re.compile(r"-?\d[\d.,']*")
_DECIMALS = re.compile(r"[.,]\d{1,2}$")


def asks_extreme(question: str) -> bool:
    """Whether ``question`` asks for the highest or the lowest of what a page shows, and for no more."""
    return _ASKS.search(question) is not None


def extreme(rows: Sequence[Sequence[Cell]], question: str) -> Cell | None:
    """The name of the highest (or lowest) bar of the first row of names that stand under their figures."""
    asked = _ASKS.search(question)
    if asked is None:
        return None
    for number, row in enumerate(rows):
        bars = [_over(rows[:number], cell) for cell in row]
        sizes = [(_figure(bar.text), at) for at, bar in enumerate(bars) if bar is not None]
        table = (
            number and row[0].figures and len(rows[number - 1]) == len(row)
        )  # years under figures are none
        if len(sizes) == len(row) > 1 and not table:
            return row[(max(sizes) if asked[1] else min(sizes))[1]]
    return None


def _over(rows: Sequence[Sequence[Cell]], name: Cell) -> Cell | None:
    """The figure that stands over a name, in the middle of the same bar."""
    column = (cell for row in reversed(rows) for cell in row if cell.over(name))
    found = next(column, None)
    if found is None or not found.figures:
        return None
    apart = abs(found.box.left + found.box.right - name.box.left - name.box.right) / 2
    return found if apart <= name.height else None


def _figure(text: str) -> float:
    found = _FIGURE.search(text)
    digits = found.group() if found else "0"
    part = _DECIMALS.search(digits)
    whole = digits[: part.start()] if part else digits
    return float(re.sub(r"[.,']", "", whole) + ("." + part.group()[1:] if part else ""))
