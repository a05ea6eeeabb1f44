"""The usual first stage: centroids by FAISS, one posting per (page, centroid).

Vectors are grouped round centroids. A centroid's list names the pages that have a vector in its group. For a
query, every row walks the lists of its best centroids; a page's estimate is the sum over rows of the best
centroid whose list holds it (pages that a row did not meet get that row's worst centroid). Nothing is stored
per vector. Related work: PLAID (arXiv 2205.09707) scores centroids against all passages; here only the lists
near the query are touched.

How far a row walks is a budget of postings, not a number of lists: rows that match everywhere (margins,
"the") meet long lists and learn little from them, rare words meet short ones.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hydra_rag.values import FloatArray
from hydra_rag_indexing.centroids import (
    assigner,
    centroid_count,
    row_blocks,
    sample_rows,
    scales,
    two_level_kmeans,
    unit_rows,
)
from hydra_rag_indexing.first_stage import FirstStage, StageSettings
from hydra_rag_indexing.page_table import IntArray, PageTable
from hydra_rag_indexing.postings import Lists
from hydra_rag_indexing.probe import Probe, quantised

__all__ = ["PageLists"]

_MOST_LISTS = 160  # a row never walks more
_DENSE = 4 << 20  # numbers in the row x page matrix of a block of query rows


class PageLists(FirstStage):
    """``probe``: the centroids, scaled so that a dot product estimates that of the vectors around one.

    ``shift``: for every page, by how much its vectors lie off their centroids on average (zero where not
    covered): what all words of a page have in common. ``budget`` is the postings that each query row walks,
    as a share of the pages.
    """

    kind = "lists"
    budgets = (0.05, 0.1, 0.2, 0.4)
    shares = (0.0, 0.35, 0.7)

    def __init__(
        self,
        probe: Probe,
        lists: Lists,
        covered: npt.NDArray[np.bool_],
        shift: Probe,
        settings: StageSettings | None = None,
    ) -> None:
        super().__init__(covered, settings or StageSettings())
        self.probe, self.lists, self.shift = probe, lists, shift
        self._lengths = np.diff(lists.starts)
        self._mean_length = max(1.0, float(self._lengths.mean()))
        self._assigner: Any = None

    @classmethod
    def train(cls, table: PageTable, *, seed: int = 0) -> PageLists:
        """Centroids and lists for the live pages of ``table``. Takes seconds per million vectors.

        Two levels of spherical k-means on a sample: cells first, then centroids within each cell, so that
        the work grows with the root of the number of centroids.
        """
        positions = np.flatnonzero(table.alive)
        count = centroid_count(table.live_rows)
        rng = np.random.default_rng(seed)
        sample = unit_rows(sample_rows(table, positions, 24 * count, rng))
        directions = two_level_kmeans(sample, count, seed)
        whole = assigner(directions)
        owners, nearest, means, fit = _assign(whole, table, positions)
        scaled = directions * scales(table, positions, nearest, directions)[:, None]
        covered = np.zeros(len(table), bool)
        covered[positions] = True
        lists = Lists.make(owners, nearest, len(directions))
        probe = Probe(*quantised(scaled))
        off = Probe(*quantised(means - _centroid_means(probe, nearest, table.count[positions])))
        settings = StageSettings(trained_rows=table.live_rows, fit=fit, newest_fit=fit)
        made = cls(probe, lists, covered, off.placed(positions, len(table)), settings)
        made._assigner = whole
        return made

    @property
    def nbytes(self) -> int:
        return self.probe.nbytes + self.shift.nbytes + self.lists.nbytes

    def most_lists(self, limit: float) -> int:
        """How many lists a row walks at most to meet ``limit`` postings."""
        return min(_MOST_LISTS, len(self._lengths), 8 + int(3 * limit / self._mean_length))

    def effort(self, query_rows: float, budget: float, pages: int) -> float:
        return query_rows * budget * pages

    def estimates(self, query: FloatArray, pages: int, budget: float) -> FloatArray:
        limit = max(64.0, budget * pages)
        total = np.zeros(pages, np.float32)
        block = max(1, min(64, _DENSE // max(pages, 1)))
        most = self.most_lists(limit)
        for first in range(0, len(query), block):
            scores, ids = self.probe.top(query[first : first + block], most)
            lengths = self._lengths[ids]
            # Lists before the budget is spent, and the one that spends it.
            used = (np.cumsum(lengths, 1) - lengths) < limit
            total += self._walk(scores, ids, lengths, used, pages)
        return total

    def shifts(self, query: FloatArray) -> FloatArray:
        total: FloatArray = query.sum(0, keepdims=True)
        added: FloatArray = self.shift.scores(total)[0]
        return added

    def _walk(
        self,
        scores: FloatArray,
        ids: IntArray,
        lengths: IntArray,
        used: npt.NDArray[np.bool_],
        pages: int,
    ) -> FloatArray:
        rows = len(scores)
        floor = scores[np.arange(rows), used.sum(1) - 1]
        grid = np.repeat(floor, pages)
        # Worst list first, so that each page keeps the best score that was written last.
        row, rank = np.nonzero(used[:, ::-1])
        rank = used.shape[1] - 1 - rank
        chosen, count = ids[row, rank], lengths[row, rank]
        begin = np.cumsum(count) - count
        where = np.repeat(self.lists.starts[chosen] - begin, count) + np.arange(int(count.sum()))
        cells = self.lists.pages[where] + np.repeat(row * pages, count)
        grid[cells] = np.repeat(scores[row, rank], count)
        summed: FloatArray = grid.reshape(rows, pages).sum(0)
        return summed

    def _changed(self, lists: Lists, covered: npt.NDArray[np.bool_], shift: Probe) -> PageLists:
        made = PageLists(self.probe, lists, covered, shift, self.settings)
        made._assigner, made.origin = self._assigner, self.origin
        return made

    def grown(self, pages: int) -> PageLists:
        if pages == len(self.covered):
            return self
        made = copy.copy(self)
        made.covered = np.concatenate([self.covered, np.zeros(pages - len(self.covered), bool)])
        made.shift = self.shift.placed(np.arange(len(self.covered)), pages)
        return made

    def moved(self, target: IntArray, pages: int) -> PageLists:
        owners, centroids = self.lists.pairs()
        owners = target[owners]
        kept = owners >= 0
        covered = np.zeros(pages, bool)
        covered[target[self.covered & (target >= 0)]] = True
        lists = Lists.make(owners[kept], centroids[kept], len(self._lengths))
        return self._changed(lists, covered, self.shift.placed(target, pages))

    def with_pages(self, table: PageTable, positions: IntArray) -> PageLists:
        if not len(positions):
            return self
        if self._assigner is None:
            self._assigner = assigner(unit_rows(self.probe.codes.astype(np.float32)))
        owners, centroids, means, fit = _assign(self._assigner, table, positions)
        old = self.lists.pairs()
        lists = Lists.make(
            np.concatenate([old[0], owners]), np.concatenate([old[1], centroids]), len(self._lengths)
        )
        covered = self.covered.copy()
        covered[positions] = True
        new = Probe(*quantised(means - _centroid_means(self.probe, centroids, table.count[positions])))
        shift = self.shift.placed(np.arange(len(covered)), len(covered), new, positions)
        return self._changed(lists, covered, shift).tuned(newest_fit=fit)

    def tensors(self, positions: IntArray) -> dict[str, npt.NDArray[Any]]:
        number = np.full(len(self.covered), -1, np.int64)
        number[positions] = np.arange(len(positions))
        pages, centroids = self.lists.pairs()
        kept = number[pages] >= 0
        order = np.lexsort((number[pages[kept]], centroids[kept]))
        return {
            "centroids": self.probe.codes,
            "scale": self.probe.scale,
            "lengths": np.bincount(centroids[kept], minlength=len(self.probe.codes)).astype(np.int32),
            "pages": number[pages[kept]][order].astype(np.uint16 if len(positions) <= 1 << 16 else np.int32),
            "shift": self.shift.codes[positions],
            "shift_scale": self.shift.scale[positions],
        }

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, npt.NDArray[Any]], positions: IntArray, pages: int, settings: StageSettings
    ) -> PageLists:
        centroids, lengths = np.ascontiguousarray(tensors["centroids"], np.int8), tensors["lengths"]
        shift = Probe(
            np.ascontiguousarray(tensors["shift"], np.int8), tensors["shift_scale"].astype(np.float32)
        )
        if (
            len(lengths) != len(centroids)
            or shift.codes.shape != (len(positions), centroids.shape[1])
            or len(shift.scale) != len(positions)
        ):
            raise ValueError("its arrays do not fit together")
        owners = positions[tensors["pages"]]
        of = np.repeat(np.arange(len(lengths)), lengths)
        kept = owners >= 0
        covered = np.zeros(pages, bool)
        covered[positions[positions >= 0]] = True
        return cls(
            Probe(centroids, np.ascontiguousarray(tensors["scale"], np.float32)),
            Lists.make(owners[kept], of[kept], len(centroids)),
            covered,
            shift.placed(positions, pages),
            settings,
        )


def _assign(
    index: Any, table: PageTable, positions: IntArray
) -> tuple[IntArray, IntArray, FloatArray, float]:
    """Owner and nearest centroid of every row of these pages, each page's mean row, the mean similarity."""
    owners, centroids, fits, means = [], [], [], []
    for owner, rows in row_blocks(table, positions):
        similarity, nearest = index.search(unit_rows(rows), 1)
        owners.append(owner)
        centroids.append(nearest[:, 0].astype(np.int64))
        fits.append(similarity[:, 0])
        begins = np.flatnonzero(np.diff(owner, prepend=-1))
        means.append(np.add.reduceat(rows, begins, axis=0) / np.diff(begins, append=len(rows))[:, None])
    mean: FloatArray = np.concatenate(means).astype(np.float32)
    return np.concatenate(owners), np.concatenate(centroids), mean, float(np.concatenate(fits).mean())


def _centroid_means(probe: Probe, nearest: IntArray, counts: IntArray) -> FloatArray:
    """For pages of so many rows one after the other: the mean of their rows' centroids, [pages, dim]."""
    means = np.empty((len(counts), probe.codes.shape[1]), np.float32)
    ends = np.cumsum(counts)
    for first in range(0, len(counts), 512):
        last = min(first + 512, len(counts))
        begin = int(ends[first] - counts[first])
        ids = nearest[begin : int(ends[last - 1])]
        rows = probe.codes[ids] * probe.scale[ids, None]
        means[first:last] = np.add.reduceat(rows, ends[first:last] - counts[first:last] - begin, axis=0)
    means /= counts[:, None]
    return means
