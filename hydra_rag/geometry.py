"""Boxes and grids: the one convention for coordinates.

A box is ``(left, top, right, bottom)``: integers, half-open, origin top-left, in pixels of the stored
page image. A grid is ``(rows, cols)`` of *merged* visual cells, row-major. No torch, no numpy.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["Box", "Grid", "union"]


class Box(NamedTuple):
    """A rectangle in page pixels, half-open: ``left <= x < right``, ``top <= y < bottom``."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return max(0, self.right - self.left)

    @property
    def height(self) -> int:
        return max(0, self.bottom - self.top)

    @property
    def area(self) -> int:
        return self.width * self.height

    def intersect(self, other: Box) -> Box:
        """The common part; has ``area == 0`` where the two do not meet."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        return Box(
            left, top, max(left, min(self.right, other.right)), max(top, min(self.bottom, other.bottom))
        )

    def iou(self, other: Box) -> float:
        """Intersection over union, 0.0 to 1.0."""
        common = self.intersect(other).area
        total = self.area + other.area - common
        return common / total if total else 0.0

    def contains(self, x: float, y: float) -> bool:
        return self.left <= x < self.right and self.top <= y < self.bottom

    def clip(self, width: int, height: int) -> Box:
        """The part inside a page of ``width`` × ``height`` pixels, at least one pixel large."""
        left = min(max(0, self.left), max(0, width - 1))
        top = min(max(0, self.top), max(0, height - 1))
        return Box(left, top, max(left + 1, min(self.right, width)), max(top + 1, min(self.bottom, height)))

    def pad(self, x: int, y: int | None = None) -> Box:
        """Grown by ``x`` pixels left and right and ``y`` (default ``x``) above and below; not clipped."""
        y = x if y is None else y
        return Box(self.left - x, self.top - y, self.right + x, self.bottom + y)

    def shift(self, dx: int, dy: int) -> Box:
        return Box(self.left + dx, self.top + dy, self.right + dx, self.bottom + dy)

    def scale(self, sx: float, sy: float) -> Box:
        """Scaled outwards: the result covers the exact scaled rectangle."""
        right, bottom = self.right * sx, self.bottom * sy
        return Box(int(self.left * sx // 1), int(self.top * sy // 1), -int(-right // 1), -int(-bottom // 1))


def union(boxes: Iterable[Box]) -> Box:
    """The smallest box that covers all of ``boxes``. Raises ``ValueError`` when there are none."""
    items = list(boxes)
    if not items:
        raise ValueError("union() of no boxes")
    return Box(
        min(b.left for b in items),
        min(b.top for b in items),
        max(b.right for b in items),
        max(b.bottom for b in items),
    )


class Grid(NamedTuple):
    """Merged visual cells of one image: ``rows`` × ``cols``, row-major."""

    rows: int
    cols: int

    @property
    def cells(self) -> int:
        return self.rows * self.cols

    def cell_box(self, index: int, width: int, height: int) -> Box:
        """Pixels that cell ``index`` covers in an image of ``width`` × ``height`` pixels.

        Cells tile the image: neighbours share an edge and no pixel is left out.
        """
        row, col = divmod(index, self.cols)
        return Box(
            col * width // self.cols,
            row * height // self.rows,
            (col + 1) * width // self.cols,
            (row + 1) * height // self.rows,
        )

    def boxes(self, width: int, height: int) -> list[Box]:
        """:meth:`cell_box` of every cell, in order."""
        return [self.cell_box(i, width, height) for i in range(self.cells)]

    def cell_at(self, x: float, y: float, width: int, height: int) -> int:
        """Index of the cell that holds the pixel position (clamped into the image)."""
        col = min(self.cols - 1, max(0, int(x * self.cols // width)))
        row = min(self.rows - 1, max(0, int(y * self.rows // height)))
        return row * self.cols + col
