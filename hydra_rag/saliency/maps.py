"""The result of looking: how much each cell of a page matters to a question. numpy only."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hydra_rag.geometry import Box, Grid
from hydra_rag.values import FloatArray

__all__ = ["SaliencyMap", "cell_shares"]


@dataclass(frozen=True, slots=True, eq=False)
class SaliencyMap:
    """``values``: float32 [cells], row-major over ``grid``, non-negative, sums to one, read-only.

    ``method``: the name of the method that made it. Build with :meth:`of` from any finite strengths.
    """

    grid: Grid
    values: FloatArray
    method: str = ""

    def __post_init__(self) -> None:
        if self.values.shape != (self.grid.cells,):
            raise ValueError(f"values must be [{self.grid.cells}], got {self.values.shape}")
        if not np.isfinite(self.values).all() or (self.values < 0).any():
            raise ValueError("values must be finite and not negative")
        if abs(float(self.values.sum(dtype=np.float64)) - 1.0) > 1e-4:
            raise ValueError("values must sum to one; use SaliencyMap.of")

    @classmethod
    def of(cls, grid: Grid, strengths: npt.ArrayLike, method: str = "") -> SaliencyMap:
        """Normalise: negative and undefined strengths count as nothing; nothing at all becomes even."""
        raw = np.array(strengths, np.float64).reshape(-1)
        if raw.shape != (grid.cells,):
            raise ValueError(f"strengths must be [{grid.cells}], got {raw.shape}")
        raw = np.where(np.isfinite(raw), np.maximum(raw, 0.0), 0.0)
        top = float(raw.max(initial=0.0))
        raw = raw / top if top > 0.0 else np.ones(grid.cells)
        values = (raw / raw.sum()).astype(np.float32)
        values.setflags(write=False)
        return cls(grid, values, method)

    def to_json(self) -> dict[str, Any]:
        """``rows``, ``cols``, ``method`` and ``values``: one byte a cell (255: the peak), as base64."""
        levels = np.rint(self.values / self.values.max() * 255).astype(np.uint8)
        text = base64.b64encode(levels.tobytes()).decode("ascii")
        return {"rows": self.grid.rows, "cols": self.grid.cols, "method": self.method, "values": text}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SaliencyMap:
        """What :meth:`to_json` wrote. Raises ``ValueError`` or ``KeyError`` for anything else."""
        grid = Grid(int(data["rows"]), int(data["cols"]))
        levels = np.frombuffer(base64.b64decode(data["values"], validate=True), np.uint8)
        return cls.of(grid, levels, str(data.get("method", "")))

    @property
    def plane(self) -> FloatArray:
        """The same values as [rows, cols]."""
        return self.values.reshape(self.grid.rows, self.grid.cols)

    @property
    def peak(self) -> int:
        """Index of the strongest cell (the first of equals)."""
        return int(self.values.argmax())

    def peak_point(self, width: int, height: int) -> tuple[int, int]:
        """Where the strongest cell and its neighbours have their weight, kept inside that cell: (x, y) in
        an image of ``width`` × ``height`` pixels. Finer than the centre of the cell."""
        row, col = divmod(self.peak, self.grid.cols)
        rows = slice(max(0, row - 1), row + 2)
        cols = slice(max(0, col - 1), col + 2)
        part = self.plane[rows, cols].astype(np.float64)
        ys = (np.arange(self.grid.rows)[rows] + 0.5) * height / self.grid.rows
        xs = (np.arange(self.grid.cols)[cols] + 0.5) * width / self.grid.cols
        box = self.grid.cell_box(self.peak, width, height)
        x = int((part.sum(0) * xs).sum() / part.sum())
        y = int((part.sum(1) * ys).sum() / part.sum())
        last_x, last_y = max(box.left, box.right - 1), max(box.top, box.bottom - 1)
        return min(max(x, box.left), last_x, width - 1), min(max(y, box.top), last_y, height - 1)

    @property
    def entropy(self) -> float:
        """Shannon entropy over that of an even map: 0.0 (one cell) to 1.0 (even)."""
        if self.grid.cells < 2:
            return 0.0
        some = self.values[self.values > 0].astype(np.float64)
        return min(1.0, max(0.0, float(-(some * np.log(some)).sum() / np.log(self.grid.cells))))

    def mass(self, box: Box, width: int, height: int) -> float:
        """Saliency inside ``box`` (pixels of a ``width`` × ``height`` image); cells count by covered part."""
        return float((self.values * cell_shares(self.grid, box, width, height)).sum(dtype=np.float64))

    def suppress(self, box: Box, width: int, height: int) -> SaliencyMap:
        """The map without what lies in ``box``: where to look next (inhibition of return)."""
        left = self.values * (1.0 - cell_shares(self.grid, box, width, height))
        return SaliencyMap.of(self.grid, left, self.method)


def cell_shares(grid: Grid, box: Box, width: int, height: int) -> FloatArray:
    """Covered part of every cell, 0.0 to 1.0: float32 [cells]."""

    def along(low: int, high: int, cells: int, pixels: int) -> npt.NDArray[np.float64]:
        edges = np.arange(cells + 1, dtype=np.float64) * pixels / cells
        common = np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)
        covered: npt.NDArray[np.float64] = np.maximum(common, 0.0) / (pixels / cells)
        return covered

    down = along(box.top, box.bottom, grid.rows, height)
    across = along(box.left, box.right, grid.cols, width)
    shares: FloatArray = np.minimum(np.outer(down, across), 1.0).astype(np.float32).reshape(-1)
    return shares
