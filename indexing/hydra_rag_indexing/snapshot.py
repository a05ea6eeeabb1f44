"""The vector index: an immutable snapshot over pages in segments. Knows nothing of SQL.

Small collections are scanned exactly. Whatever chose the pages, hits are ordered by their exact MaxSim on the
stored vectors, ties by key.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hydra_rag.errors import NotFoundError, UsageError
from hydra_rag.values import FloatArray
from hydra_rag_indexing.page_table import PageRef, PageTable
from hydra_rag_indexing.rerank import best_pages, score_pages

__all__ = ["PageRef", "VectorIndex"]


class VectorIndex:
    """Search over a fixed set of pages. Safe to share between threads; never changes.

    Make one with :meth:`build`, the next one with :meth:`refresh`: it shares open segments and everything
    learned, so adding or removing a few pages costs little.
    """

    def __init__(self, directory: Path, dim: int, cache_dir: Path | None, table: PageTable) -> None:
        self._directory, self.dim, self._cache_dir, self._table = directory, dim, cache_dir, table

    @classmethod
    def build(
        cls, segments_dir: Path, pages: Sequence[PageRef], dim: int, cache_dir: Path | None = None
    ) -> VectorIndex:
        """Open the snapshot made of ``pages``; reads headers only.

        ``cache_dir``: where the first stage is cached (``None``: nowhere). Raises ``CorruptionError`` for
        missing or damaged segments, ``FingerprintError`` for segments of another dimension.
        """
        return cls(Path(segments_dir), dim, cache_dir, PageTable.build(Path(segments_dir), pages, dim))

    def refresh(self, pages: Sequence[PageRef]) -> VectorIndex:
        """A new snapshot made of ``pages``; this one stays as it is."""
        table = self._table.changed(self._directory, pages, self.dim)
        return VectorIndex(self._directory, self.dim, self._cache_dir, table)

    def __len__(self) -> int:
        """Number of pages."""
        return self._table.live_pages

    @property
    def rows(self) -> int:
        """Number of vectors."""
        return self._table.live_rows

    def search(
        self,
        query: npt.ArrayLike,
        k: int,
        *,
        allowed: Iterable[int] | npt.NDArray[Any] | None = None,
        exhaustive: bool = False,
    ) -> list[tuple[int, float]]:
        """The ``k`` best pages as (key, MaxSim), best first, ties by key.

        ``query``: [q, dim]. ``allowed``: only pages with these keys. ``exhaustive``: score every page.
        Raises ``UsageError`` for queries that do not fit, ``CorruptionError`` for damaged pages.
        """
        rows = self._checked_query(query)
        positions = np.flatnonzero(self._table.mask(allowed))
        if k < 1 or not len(positions):
            return []
        scores = score_pages(self._table, rows, positions)
        return best_pages(self._table, rows, positions, scores, k)

    def has(self, key: int) -> bool:
        """Whether this snapshot holds the page."""
        position = int(self._table.positions(np.array([key], np.int64))[0])
        return position >= 0 and bool(self._table.alive[position])

    def vectors(self, key: int) -> tuple[FloatArray, npt.NDArray[np.int64] | None]:
        """Stored vectors of a page as float32 [n, dim] and its boxes int64 [n, 4] (``None``: has none)."""
        if not self.has(key):
            raise NotFoundError(f"The index has no page {key}.")
        position = int(self._table.positions(np.array([key], np.int64))[0])
        self._table.verify(np.array([position], np.int64))
        segment = self._table.segments[int(self._table.segment[position])]
        first = int(self._table.start[position])
        last = first + int(self._table.count[position])
        boxes = segment.boxes[first:last].astype(np.int64)
        vectors: FloatArray = segment.vectors[first:last].numpy().astype(np.float32)
        return vectors, None if (boxes < 0).all() else boxes

    def stored(self, key: int) -> npt.NDArray[Any]:
        """The vectors of a page as they are stored, [n, dim] float16 or float32; not to be written to."""
        if not self.has(key):
            raise NotFoundError(f"The index has no page {key}.")
        position = self._table.positions(np.array([key], np.int64))
        self._table.verify(position)
        segment = self._table.segments[int(self._table.segment[position[0]])]
        first = int(self._table.start[position[0]])
        rows: npt.NDArray[Any] = segment.vectors[first : first + int(self._table.count[position[0]])].numpy()
        return rows

    def optimize(self) -> VectorIndex:
        return self

    def _checked_query(self, query: npt.ArrayLike) -> FloatArray:
        rows = np.ascontiguousarray(query, np.float32)
        if rows.ndim != 2 or not len(rows) or rows.shape[1] != self.dim:
            raise UsageError(f"A query must be [rows >= 1, {self.dim}], got shape {rows.shape}.")
        if not np.isfinite(rows).all():
            raise UsageError("The query has values that are not finite.")
        return rows
