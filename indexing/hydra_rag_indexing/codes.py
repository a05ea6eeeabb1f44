"""Copies of stored vectors in memory, one byte a number: they score many candidates in little time.

A page's score by its codes is off by little (see :meth:`Codes.slack`), so it decides only which pages are
scored exactly. Bounded: pages that find no room are scored from the file. Used where the processor
multiplies bytes exactly; elsewhere nothing is kept.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from hydra_rag.values import FloatArray
from hydra_rag_indexing.page_table import IntArray, PageTable
from hydra_rag_indexing.probe import bytes_multiply_exactly, quantised

if TYPE_CHECKING:
    import torch

__all__ = ["CODE_BYTES", "Codes"]

#: Memory for codes of one index, at most; touched only as it fills.
CODE_BYTES = 256 << 20
_CHUNK = 1 << 21  # numbers scored or coded at a time


class _Slab:
    """Memory that fills from the front; shared by the snapshots of one index."""

    def __init__(self, rows: int, dim: int) -> None:
        import torch

        self.codes = torch.empty((rows, dim), dtype=torch.int8)
        self.used = 0
        self.lock = threading.Lock()


class Codes:
    """Where the codes of each position of a page table lie: ``start`` int64 [n] (-1: nowhere)."""

    def __init__(self, slab: _Slab, start: IntArray, scale: FloatArray) -> None:
        self._slab, self.start, self.scale = slab, start, scale

    @classmethod
    def empty(cls, pages: int, dim: int, limit: int | None = None) -> Codes | None:
        """For a table of so many pages; ``None`` where codes would not be faster."""
        if not bytes_multiply_exactly():
            return None
        slab = _Slab((CODE_BYTES if limit is None else limit) // dim, dim)
        return cls(slab, np.full(pages, -1, np.int64), np.zeros(pages, np.float32))

    def moved(self, source: IntArray) -> Codes:
        """For another table: position ``i`` there was ``source[i]`` here, -1 for a new page."""
        known = source >= 0
        start = np.where(known, self.start[source], -1)
        return Codes(self._slab, start, np.where(known, self.scale[source], 0).astype(np.float32))

    def renewed(self, table: PageTable) -> Codes:
        """These codes, or none where most of a full memory holds pages that are gone."""
        rows, used = len(self._slab.codes), self._slab.used
        held = int(table.count[table.alive & (self.start >= 0)].sum())
        if used < 0.9 * rows or held > used / 2:
            return self
        dim = self._slab.codes.shape[1]
        return Codes(_Slab(rows, dim), np.full(len(table), -1, np.int64), np.zeros(len(table), np.float32))

    @property
    def nbytes(self) -> int:
        """Memory in use."""
        return self._slab.used * self._slab.codes.shape[1]

    def fill(self, table: PageTable, positions: IntArray) -> None:
        """Make codes of these pages while there is room. Pages must be verified."""
        with self._slab.lock:
            missing = positions[self.start[positions] < 0]
            room = np.cumsum(table.count[missing]) <= len(self._slab.codes) - self._slab.used
            missing = missing[room]
            limit = max(1, _CHUNK // self._slab.codes.shape[1])
            ends, first = np.cumsum(table.count[missing]), 0
            while first < len(missing):
                base = int(ends[first - 1]) if first else 0
                last = max(first + 1, int(np.searchsorted(ends, base + limit, side="right")))
                self._code(table, missing[first:last])
                first = last

    def _code(self, table: PageTable, positions: IntArray) -> None:
        import torch

        rows = torch.cat([table.rows(p) for p in positions.tolist()]).float()
        count = table.count[positions]
        begins = np.cumsum(count) - count
        scale = np.maximum.reduceat(rows.abs().amax(1).numpy(), begins) / np.float32(127.0)
        rows.mul_(torch.from_numpy(np.repeat(1.0 / np.maximum(scale, 1e-30), count))[:, None]).round_()
        first = self._slab.used
        self._slab.codes[first : first + len(rows)].copy_(rows)
        self.scale[positions] = scale
        self._slab.used += len(rows)
        self.start[positions] = first + begins  # last: a reader sees whole pages only

    def scores(self, table: PageTable, query: FloatArray, positions: IntArray) -> FloatArray:
        """MaxSim by codes, float32, of pages that all have some; order as given."""
        import torch

        codes, row_scale = quantised(query)
        rows = torch.from_numpy(codes)
        order = np.argsort(self.start[positions], kind="stable")
        at = positions[order]
        start, count = self.start[at], table.count[at]
        ends = np.cumsum(count)
        limit = max(1, _CHUNK // max(query.shape))
        scores = np.empty(len(at), np.float32)
        first = 0
        while first < len(at):
            base = int(ends[first - 1]) if first else 0
            last = max(first + 1, int(np.searchsorted(ends, base + limit, side="right")))
            begins = ends[first:last] - count[first:last] - base
            total = int(ends[last - 1]) - base
            found = torch._int_mm(rows, self._rows(start[first:last], count[first:last], begins, total).T)
            best = np.maximum.reduceat(found.numpy(), begins, axis=1)
            scores[order[first:last]] = row_scale @ best.astype(np.float32) * self.scale[at[first:last]]
            first = last
        return scores

    def _rows(self, start: IntArray, count: IntArray, begins: IntArray, total: int) -> torch.Tensor:
        import torch

        if int(start[-1] + count[-1] - start[0]) == total:
            return self._slab.codes[int(start[0]) : int(start[0]) + total]
        where = np.repeat(start - begins, count) + np.arange(total)
        return self._slab.codes.index_select(0, torch.from_numpy(where))

    def slack(self, query: FloatArray, positions: IntArray, max_norm: float) -> float:
        """How far a score by codes may lie from the exact one: five standard deviations of a sum of
        roundings, each uniform within its step, those of query rows that look alike to the same side."""
        step = float(self.scale[positions].max(initial=0.0))
        steps = np.abs(query).max(1) / 127.0
        alike = query @ query.T
        norms = np.sqrt(np.maximum(alike.diagonal(), 1e-30))
        deviation = np.hypot(norms * step, steps * max_norm) / np.sqrt(12.0)
        share = np.maximum(alike / np.outer(norms, norms), 0.0)
        return float(5.0 * np.sqrt(deviation @ share @ deviation))
