"""First stage: which pages are worth exact scoring. Centroids by FAISS, one posting per (page, centroid).

Vectors are grouped round centroids. A centroid's list names the pages that have a vector in its group. For a
query, every row walks the lists of its best centroids; a page's estimate is the sum over rows of the best
centroid whose list holds it (pages that a row did not meet get that row's worst centroid). Nothing is stored
per vector. Related work: PLAID (arXiv 2205.09707) scores centroids against all passages; here only the lists
near the query are touched.

How far a row walks is a budget of postings, not a number of lists: rows that match everywhere (margins,
"the") meet long lists and learn little from them, rare words meet short ones.
"""

from __future__ import annotations

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
from hydra_rag_indexing.page_table import IntArray, PageTable
from hydra_rag_indexing.postings import Lists
from hydra_rag_indexing.probe import Probe, quantised

__all__ = ["FirstStage", "train", "typed_settings"]

_SETTINGS = {
    "share",
    "budget",
    "candidates",
    "caution",
    "stretch",
    "recall",
    "trained_rows",
    "fit",
    "newest_fit",
}
_MOST_LISTS = 160  # a row never walks more
_DENSE = 4 << 20  # numbers in the row x page matrix of a block of query rows


class FirstStage:
    """Immutable. ``covered`` says for every position of the page table whether the lists hold it.

    ``probe``: the centroids, scaled so that a dot product estimates that of the vectors around one.
    ``shift``: for every page, by how much its vectors lie off their centroids on average (zero where not
    covered); ``share`` of it is added to the estimate: what all words of a page have in common.
    ``budget``: postings that each query row walks, as a share of the pages. ``candidates``: pages to score
    for ten hits; ``caution``: when to score more (see :func:`hydra_rag_indexing.rerank.enough`), up to
    ``stretch`` times as many. ``recall``: measured on queries that did not choose these settings.
    ``trained_rows``: vectors there were at training; ``fit``: their mean similarity to
    their centroid; ``newest_fit``: that of the pages added last.
    """

    def __init__(
        self,
        probe: Probe,
        lists: Lists,
        covered: npt.NDArray[np.bool_],
        shift: Probe,
        *,
        share: float = 0.0,
        budget: float = 0.2,
        candidates: int = 100,
        caution: float = 1.5,
        stretch: float = 4.0,
        recall: float = 0.0,
        trained_rows: int = 0,
        fit: float = 1.0,
        newest_fit: float = 1.0,
    ) -> None:
        self.probe, self.lists, self.covered, self.shift = probe, lists, covered, shift
        self.share = share
        self.budget, self.candidates, self.caution = budget, candidates, caution
        self.stretch, self.recall = stretch, recall
        self.trained_rows, self.fit, self.newest_fit = trained_rows, fit, newest_fit
        self._lengths = np.diff(lists.starts)
        self._mean_length = max(1.0, float(self._lengths.mean()))
        self._assigner: Any = None

    @property
    def settings(self) -> dict[str, float]:
        """What is saved beside the arrays."""
        return {
            "share": self.share,
            "budget": self.budget,
            "candidates": self.candidates,
            "caution": self.caution,
            "stretch": self.stretch,
            "recall": self.recall,
            "trained_rows": self.trained_rows,
            "fit": self.fit,
            "newest_fit": self.newest_fit,
        }

    def tuned(self, **settings: float) -> FirstStage:
        return self._changed(self.lists, self.covered, self.shift, settings)

    def _changed(
        self,
        lists: Lists,
        covered: npt.NDArray[np.bool_],
        shift: Probe,
        settings: dict[str, float] | None = None,
    ) -> FirstStage:
        stage = FirstStage(
            self.probe, lists, covered, shift, **typed_settings(self.settings | (settings or {}))
        )
        stage._assigner = self._assigner
        return stage

    @property
    def nbytes(self) -> int:
        """Bytes as saved."""
        return self.probe.nbytes + self.shift.nbytes + self.lists.nbytes

    def most_lists(self, limit: float) -> int:
        """How many lists a row walks at most to meet ``limit`` postings."""
        return min(_MOST_LISTS, len(self._lengths), 8 + int(3 * limit / self._mean_length))

    def estimates(self, query: FloatArray, pages: int, budget: float | None = None) -> FloatArray:
        """Estimated MaxSim of positions 0 … pages - 1: float32 [pages]; comparable with each other only."""
        share = self.budget if budget is None else budget
        limit = max(64.0, share * pages)
        total = np.zeros(pages, np.float32)
        block = max(1, min(64, _DENSE // max(pages, 1)))
        most = self.most_lists(limit)
        for first in range(0, len(query), block):
            scores, ids = self.probe.top(query[first : first + block], most)
            lengths = self._lengths[ids]
            # Lists before the budget is spent, and the one that spends it.
            used = (np.cumsum(lengths, 1) - lengths) < limit
            total += self._walk(scores, ids, lengths, used, pages)
        if self.share:
            total[: len(self.covered)] += np.float32(self.share) * self.shifts(query)
        return total

    def shifts(self, query: FloatArray) -> FloatArray:
        """What the pages' shifts add to their scores: float32 [positions]."""
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

    def first_batch(self, k: int) -> int:
        """Pages to score at first for ``k`` hits."""
        return int(max(self.candidates * max(1.0, k / 10) ** 0.7, 2 * k))

    def most_pages(self, first: int) -> int:
        """Pages to score at most when ``first`` were scored at first."""
        return int(self.stretch * first)

    def grown(self, pages: int) -> FirstStage:
        """For a table that has more positions now; the new ones are not covered."""
        if pages == len(self.covered):
            return self
        extra = np.zeros(pages - len(self.covered), bool)
        shift = self.shift.placed(np.arange(len(self.covered)), pages)
        return self._changed(self.lists, np.concatenate([self.covered, extra]), shift)

    def moved(self, target: IntArray, pages: int) -> FirstStage:
        """For another table: position ``i`` becomes ``target[i]``, -1 drops it."""
        owners, centroids = self.lists.pairs()
        owners = target[owners]
        kept = owners >= 0
        covered = np.zeros(pages, bool)
        covered[target[self.covered & (target >= 0)]] = True
        lists = Lists.make(owners[kept], centroids[kept], len(self._lengths))
        return self._changed(lists, covered, self.shift.placed(target, pages))

    def with_pages(self, table: PageTable, positions: IntArray) -> tuple[FirstStage, float]:
        """Lists that also hold these positions; the centroids stay. Also their mean fit."""
        if not len(positions):
            return self, self.fit
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
        return self._changed(lists, covered, shift, {"newest_fit": fit}), fit


def typed_settings(settings: dict[str, float]) -> dict[str, Any]:
    """Keyword arguments of :class:`FirstStage` from saved settings. ``ValueError`` for unknown ones."""
    if settings.keys() != _SETTINGS:
        raise ValueError(f"unknown settings {sorted(settings)}")
    return {n: int(v) if n in ("candidates", "trained_rows") else float(v) for n, v in settings.items()}


def train(table: PageTable, *, seed: int = 0) -> FirstStage:
    """Centroids and lists for the live pages of ``table``. Takes seconds per million vectors.

    Two levels of spherical k-means on a sample: cells first, then centroids within each cell, so that the
    work grows with the root of the number of centroids.
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
    probe, rows = Probe(*quantised(scaled)), table.live_rows
    off = Probe(*quantised(means - _centroid_means(probe, nearest, table.count[positions])))
    shift = off.placed(positions, len(table))
    made = FirstStage(probe, lists, covered, shift, trained_rows=rows, fit=fit, newest_fit=fit)
    made._assigner = whole
    return made


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
