"""The vector index: an immutable snapshot over pages in segments. Knows nothing of SQL.

Small collections are scanned exactly. Larger ones have a first stage that names the pages worth scoring
(:mod:`hydra_rag_indexing.first_stage`), built by :meth:`VectorIndex.optimize` and never by a search; pages
added since are scanned beside it. Where no first stage is good enough, every page is scored by its one-byte
copy (:mod:`hydra_rag_indexing.codes`), in a fraction of an exact scan's time. Whatever chose the pages, hits
are ordered by their exact MaxSim on the stored vectors, ties by key.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hydra_rag.errors import NotFoundError
from hydra_rag.values import FloatArray
from hydra_rag_indexing.building import Choice, best_stage, extended, outdated
from hydra_rag_indexing.page_table import IntArray, PageList, PageRef, PageTable
from hydra_rag_indexing.rerank import best_pages, checked_query, score_pages
from hydra_rag_indexing.staged import coded_search, staged_search

if TYPE_CHECKING:
    from hydra_rag_indexing.codes import Codes
    from hydra_rag_indexing.first_stage import FirstStage
    from hydra_rag_indexing.segments import Segment

__all__ = ["PageList", "PageRef", "VectorIndex"]

#: Vectors that are scanned exactly without a thought (a few milliseconds).
SCAN_ROWS = 1 << 16
#: Vectors of new pages from which on they are worth putting into the first stage, more in a large collection:
#: that takes a second or more, and every search scores those pages beside it in milliseconds.
_TAIL_ROWS, _TAIL_MOST, _TAIL_SHARE = 1 << 13, 1 << 17, 1 / 64
#: Positions of removed pages are given up when there are this many times as many positions as pages.
_GAPS = 2
#: A collection that no first stage fitted is tried again when it is this many times as large.
_RETRY = 2.0


class VectorIndex:
    """Search over a fixed set of pages. Safe to share between threads; never changes.

    Make one with :meth:`build`, the next one with :meth:`refresh`: it shares open segments and everything
    learned, so adding or removing a few pages costs little.
    """

    def __init__(
        self,
        directory: Path,
        dim: int,
        cache_dir: Path | None,
        table: PageTable,
        stage: FirstStage | None = None,
        codes: Codes | None = None,
        first_stage: Choice = "lists",
    ) -> None:
        self._directory, self.dim, self._cache_dir, self._table = directory, dim, cache_dir, table
        self._stage, self._codes, self._choice = stage, codes, first_stage
        self._refused = 0
        if codes is None and (stage is not None or table.live_rows > SCAN_ROWS):
            from hydra_rag_indexing.codes import Codes

            self._codes = Codes.empty(len(table), dim)
        self._tail: IntArray = (
            np.flatnonzero(table.alive) if stage is None else np.flatnonzero(table.alive & ~stage.covered)
        )

    @classmethod
    def build(
        cls,
        segments_dir: Path,
        pages: PageList | Sequence[PageRef],
        dim: int,
        cache_dir: Path | None = None,
        first_stage: Choice = "lists",
    ) -> VectorIndex:
        """Open the snapshot made of ``pages``; reads headers and the cached first stage, builds nothing.

        ``cache_dir``: a folder of this index alone, where the first stage is cached (``None``: nowhere).
        ``first_stage``: which kind :meth:`optimize` builds, see :mod:`hydra_rag_indexing.building`.
        Raises ``CorruptionError`` for missing or damaged segments, ``FingerprintError`` for segments of
        another dimension.
        """
        folder, cache = Path(segments_dir), None if cache_dir is None else Path(cache_dir)
        table = PageTable.build(folder, pages, dim)
        return cls(folder, dim, cache, table, first_stage=first_stage).reread()

    def refresh(self, pages: PageList | Sequence[PageRef]) -> VectorIndex:
        """A new snapshot made of ``pages``; this one stays as it is.

        Costs copies of its columns. New pages are scored by every search until :meth:`extend` or
        :meth:`optimize` puts them into the first stage.
        """
        if len(self._table) > _GAPS * self._table.live_pages + 1024:
            return self._with(*self._without_gaps()).refresh(pages)
        table = self._table.changed(self._directory, pages, self.dim)
        stage = None if self._stage is None else self._stage.grown(len(table))
        codes = None
        if self._codes is not None:
            source = np.arange(len(table))
            codes = self._codes.moved(np.where(source < len(self._table), source, -1)).renewed(table)
        made = self._with(stage, table, codes)
        # Another process may have built one, or put the new pages into it.
        return made.reread() if stage is None or made._long_tail else made

    def reread(self) -> VectorIndex:
        """This snapshot with what another process or thread has decided meanwhile: the first stage that it
        has cached, or to do without one."""
        if self._cache_dir is None or self.rows <= SCAN_ROWS:
            return self
        from hydra_rag_indexing.stage_cache import load_stage, newest

        name = newest(self._cache_dir)
        if not name:
            given_up = self._stage is not None and self._scanned_rows()
            return self._with(None) if given_up else self
        if self._stage is not None and self._stage.origin == name:
            return self
        stage = load_stage(self._cache_dir, self._table, self.dim)
        if stage is None:
            return self
        fewer = self._stage is not None and stage.covered.sum() < self._stage.covered.sum()
        return self if fewer and not self.needs_optimize else self._with(stage)

    def _with(
        self, stage: FirstStage | None, table: PageTable | None = None, codes: Codes | None = None
    ) -> VectorIndex:
        if table is None:
            table, codes = self._table, self._codes
        made = VectorIndex(self._directory, self.dim, self._cache_dir, table, stage, codes, self._choice)
        made._refused = self._refused
        return made

    def optimize(self, *, queries: Sequence[FloatArray] | None = None, force: bool = False) -> VectorIndex:
        """This snapshot with a first stage that fits it, saved in the cache folder. Blocks until built.

        New pages are put under the present centroids; where the collection has outgrown these, or with
        ``force``, they are trained again. Settings that it has outgrown are chosen anew on ``queries``
        (default: sampled ones) so that recall@10 against the exact scan is reached; where none reach it,
        every search scans. Raises ``MissingExtraError`` without FAISS.
        """
        if self.rows <= SCAN_ROWS:
            return self
        from hydra_rag_indexing.codes import Codes

        stage, table, codes = self._without_gaps()
        stage = None if force else extended(table, stage, self._choice)
        if stage is None or queries is not None or outdated(stage, self.rows):
            codes = Codes.empty(len(table), self.dim)
            if codes is not None:
                positions = np.arange(len(table))
                table.verify(positions)
                codes.fill(table, positions)
            stage = best_stage(table, stage, self._choice, codes, queries)
        return self._saved(stage, table, codes)

    def extend(self) -> VectorIndex:
        """What :meth:`optimize` does where it takes little: many new pages under centroids that fit."""
        if not self._long_tail:
            return self
        stage, table, codes = self._without_gaps()
        stage = extended(table, stage, self._choice)
        return self if stage is None else self._saved(stage, table, codes)

    def _saved(self, stage: FirstStage | None, table: PageTable, codes: Codes | None) -> VectorIndex:
        made = self._with(stage, table, codes)
        made._refused = 0 if stage is not None else self.rows
        if self._cache_dir is not None:
            from hydra_rag_indexing.stage_cache import save_stage

            save_stage(self._cache_dir, stage or (self.rows, self._choice), table)
        return made

    def _without_gaps(self) -> tuple[FirstStage | None, PageTable, Codes | None]:
        """Stage, table and codes with positions for live pages only."""
        old = self._table
        table = PageTable.build(self._directory, old.listed(), self.dim, old.by_id())
        codes = None if self._codes is None else self._codes.moved(old.positions(table.keys))
        target = np.where(old.alive, table.positions(old.keys), -1)
        return None if self._stage is None else self._stage.moved(target, len(table)), table, codes

    def recall_estimate(self, samples: int = 16, *, seed: int = 1) -> float | None:
        """Share of the exact ten best that :meth:`search` finds, on sampled queries; ``None`` if empty."""
        if not len(self):
            return None
        from hydra_rag_indexing.tuning import sampled_queries

        found = total = 0
        for query in sampled_queries(self._table, samples, seed=seed):
            exact = {key for key, _ in self.search(query, 10, exhaustive=True)}
            found += len(exact & {key for key, _ in self.search(query, 10)})
            total += len(exact)
        return found / total

    def __len__(self) -> int:
        """Number of pages."""
        return self._table.live_pages

    @property
    def rows(self) -> int:
        """Number of vectors."""
        return self._table.live_rows

    @property
    def tail_rows(self) -> int:
        """Vectors that every search scans because no first stage covers them."""
        return int(self._table.count[self._tail].sum())

    @property
    def needs_optimize(self) -> bool:
        """Whether :meth:`optimize` would make searches noticeably faster or better."""
        stage = self._stage
        if self.rows <= SCAN_ROWS:
            return False
        if stage is None:
            return self.rows > _RETRY * self._scanned_rows()
        return stage.kind != self._choice or outdated(stage, self.rows) or self._long_tail

    @property
    def _long_tail(self) -> bool:
        most = min(_TAIL_MOST, max(_TAIL_ROWS, self.rows * _TAIL_SHARE))
        return self._stage is not None and self.tail_rows > most

    def _scanned_rows(self) -> int:
        """Vectors there were when no first stage was good enough (0: never tried)."""
        from hydra_rag_indexing.stage_cache import refused_rows

        known = 0 if self._cache_dir is None else refused_rows(self._cache_dir, self._choice)
        return self._refused or known

    @property
    def stage_bytes(self) -> int:
        """Bytes of the first stage (0: none)."""
        return 0 if self._stage is None else self._stage.nbytes

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
        rows = checked_query(query, self.dim)
        table, stage, alive = self._table, self._stage, self._table.mask(allowed)
        work = table.live_rows if allowed is None else int(table.count[alive].sum())
        if k < 1 or not work:
            return []
        scan = exhaustive or work <= SCAN_ROWS or (stage is None and self._codes is None)
        if not scan and stage is not None:
            return staged_search(table, stage, self._codes, self._tail, rows, k, alive)
        positions = np.flatnonzero(alive)
        if not scan and self._codes is not None:
            return coded_search(table, self._codes, rows, positions, k)
        return best_pages(table, rows, positions, score_pages(table, rows, positions), k)

    def has(self, key: int) -> bool:
        """Whether this snapshot holds the page."""
        at = int(self._table.positions(np.array([key], np.int64))[0])
        return at >= 0 and bool(self._table.alive[at])

    def vectors(self, key: int) -> tuple[FloatArray, npt.NDArray[np.int64] | None]:
        """Stored vectors of a page as float32 [n, dim] and its boxes int64 [n, 4] (``None``: has none)."""
        segment, rows = self._lies(key)
        boxes = segment.boxes[rows].astype(np.int64)
        vectors: FloatArray = segment.vectors[rows].numpy().astype(np.float32)
        return vectors, None if (boxes < 0).all() else boxes

    def stored(self, key: int) -> npt.NDArray[Any]:
        """The vectors of a page as they are stored, [n, dim] float16 or float32; not to be written to."""
        segment, rows = self._lies(key)
        vectors: npt.NDArray[Any] = segment.vectors[rows].numpy()
        return vectors

    def _lies(self, key: int) -> tuple[Segment, slice]:
        """The segment of a page and its rows there, verified."""
        if not self.has(key):
            raise NotFoundError(f"The index has no page {key}.")
        at = self._table.positions(np.array([key], np.int64))
        self._table.verify(at)
        first, count = int(self._table.start[at[0]]), int(self._table.count[at[0]])
        return self._table.segments[int(self._table.segment[at[0]])], slice(first, first + count)
