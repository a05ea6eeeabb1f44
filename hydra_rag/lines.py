"""Words with boxes → lines in reading order. Used for text in prompts and for cutting lines to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hydra_rag.columns import column_breaks
from hydra_rag.geometry import Box, union
from hydra_rag.values import Word

__all__ = ["CELL_BREAK", "Line", "group_lines"]

#: Stands between the cells of a line in :attr:`Line.cells`.
CELL_BREAK = "\t"


@dataclass(frozen=True, slots=True)
class Line:
    """``breaks``: indices of words before which another column begins, though they stand near. ``goes_on``:
    with the sentence of the line before it."""

    words: tuple[Word, ...]
    breaks: frozenset[int] = frozenset()
    goes_on: bool = False

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @property
    def cells(self) -> str:
        """The text with a tab instead of a space where a gap is wider than the line is high or parts columns:
        what stands in different columns or cells is not one phrase."""
        parts: list[str] = []
        for number, (before, word) in enumerate(zip((None, *self.words), self.words, strict=False)):
            if before is not None:
                wide = number in self.breaks or word.box.left - before.box.right > max(
                    1, before.box.height, word.box.height
                )
                parts.append(CELL_BREAK if wide else " ")
            parts.append(word.text)
        return "".join(parts)

    @property
    def box(self) -> Box:
        return union(word.box for word in self.words)


def group_lines(words: Sequence[Word], *, max_gap: float | None = None) -> list[Line]:
    """Lines from top to bottom, words from left to right.

    A word joins a row when their heights overlap by half of the smaller one. ``max_gap``: a horizontal
    gap wider than so many row heights starts a new line (cells of a table, columns); ``None`` keeps
    each row whole, and marks where close columns part.
    """
    rows: list[list[Word]] = []
    spans: list[tuple[int, int]] = []
    for word in sorted((w for w in words if w.text.strip()), key=lambda w: (_middle(w.box), w.box.left)):
        top, bottom = word.box.top, word.box.bottom
        for index in range(len(rows) - 1, max(-1, len(rows) - 4), -1):
            row_top, row_bottom = spans[index]
            common = min(bottom, row_bottom) - max(top, row_top)
            if common * 2 > min(bottom - top, row_bottom - row_top):
                rows[index].append(word)
                # The row keeps the median-like span of its first word: growing it would chain rows.
                break
        else:
            rows.append([word])
            spans.append((top, bottom))
    for row in rows:
        row.sort(key=lambda w: w.box.left)
    if max_gap is None:
        return [Line(tuple(row), found) for row, found in zip(rows, column_breaks(rows), strict=True)]
    lines: list[Line] = []
    for row, (top, bottom) in zip(rows, spans, strict=True):
        lines.extend(Line(tuple(part)) for part in _split(row, bottom - top, max_gap))
    return lines


def _middle(box: Box) -> float:
    return (box.top + box.bottom) / 2


def _split(row: list[Word], height: int, max_gap: float) -> list[list[Word]]:
    parts: list[list[Word]] = [[]]
    right = None
    for word in row:
        if right is not None and word.box.left - right > max_gap * max(1, height):
            parts.append([])
        parts[-1].append(word)
        right = word.box.right if right is None else max(right, word.box.right)
    return parts
