"""Words of a question that speak about the page itself, and the line that "title" or "heading" means."""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set
from statistics import median, median_low

from hydra_rag_agents.cells import Cell

__all__ = ["ABOUT_PAGE", "asks_headline", "headline"]

_TITLES = frozenset(("title", "head", "headline"))
#: Those that forms print as a label.
_LABELS = frozenset(("title", "headline"))
#: As :func:`hydra_rag_agents.text_context.content_tokens` makes them. Where no line says them they are no
#: sign that the page has no answer: a chart does not say "chart", nor a calendar that things take place.
ABOUT_PAGE = _TITLES | frozenset(
    "page document sheet slide scan picture image chart graph diagram plot figure table list text value "
    "stat mention shown show print write nam call take place happen occur hold stand".split()
)
#: "What kind of document is this?": the headline says it.
_KIND = frozenset(("kind", "document"))
#: A headline is at least so much taller than the page's other text, and stands in the upper part of it.
_TALLER, _UPPER = 1.15, 0.6
#: It has at least so many letters, is seldom a figure (those are large values), and rather stands higher up.
_LETTERS, _FIGURES, _LOWER = 3, 0.6, 0.5


def asks_headline(question: str, asked: Set[str], seen: Collection[str]) -> bool:
    """Whether a question with these content words asks for the page's title. ``seen``: those that the page
    says itself ("Title:" is a label, and its value is meant)."""
    if asked >= _KIND:
        return "kind" not in seen and ABOUT_PAGE.issuperset(asked - _KIND)
    if _TITLES.isdisjoint(asked) or not _LABELS.isdisjoint(seen):
        return False
    leads = "head" in asked and "heading" not in question.casefold()  # a "Head of department" is no heading
    return not leads and ABOUT_PAGE.issuperset(asked)


def headline(rows: Sequence[Sequence[Cell]]) -> list[Cell]:
    """The cells of a tall line of words near the top; of the first line where none is taller."""
    cells = [cell for row in rows for cell in row]
    if not cells:
        return []
    top, bottom = min(cell.box.top for cell in cells), max(cell.box.bottom for cell in cells)
    least = _TALLER * median(map(_height, cells))

    def lower(cell: Cell) -> float:
        return (cell.box.top - top) / max(1, bottom - top)

    def worth(cell: Cell) -> float:
        return _height(cell) * (_FIGURES if _value(cell) else 1.0) * (1 - _LOWER * lower(cell))

    upper = [c for c in cells if lower(c) <= _UPPER and _height(c) >= least and _letters(c) >= _LETTERS]
    best = max(upper, key=worth, default=cells[0])
    return [cell for cell in rows[best.row] if _height(cell) >= 0.9 * _height(best)]


def _height(cell: Cell) -> float:
    """Of most of its words; a part of a drawing that was read as a letter is no print."""
    return median_low(word.box.height for word in cell.words)


def _value(cell: Cell) -> bool:
    """Whether it is a figure rather than a title with a year."""
    return sum(character.isdigit() for character in cell.text) >= _letters(cell)


def _letters(cell: Cell) -> int:
    return sum(character.isalpha() for character in cell.text)
