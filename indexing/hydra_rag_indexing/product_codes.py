"""Another first stage: FAISS keeps a product code of every vector, in lists round centroids.

One bit a number: four bits for every four numbers. A query row looks for the vectors nearest to it by their
codes; a page's estimate is the sum over rows of the best of its vectors found (a page that a row did not find
gets the lowest score found). It needs several times the bytes of
:class:`~hydra_rag_indexing.page_lists.PageLists`; figures are in ``docs/benchmarks.md``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from hydra_rag.values import FloatArray
from hydra_rag_indexing.centroids import centroid_count, row_blocks, sample_rows, two_level_kmeans, unit_rows
from hydra_rag_indexing.faiss_support import load_faiss
from hydra_rag_indexing.first_stage import FirstStage, StageSettings
from hydra_rag_indexing.page_table import IntArray, PageTable

__all__ = ["ProductCodes"]

_LISTS_WALKED = 32
_MOST_FOUND = 4096  # vectors that a query row finds at most
_SAMPLE = 1 << 16  # vectors that codes are trained on
#: What looking at a code, and at a vector found, costs beside a posting of page lists.
_CODE, _FOUND = 0.4, 2.0


class ProductCodes(FirstStage):
    """``index``: a FAISS inverted file whose ids are positions (-1: dropped). ``budget``: vectors that each
    query row finds, as a share of the pages."""

    kind = "product"
    budgets = (0.1, 0.3, 1.0)

    def __init__(self, index: Any, covered: npt.NDArray[np.bool_], settings: StageSettings) -> None:
        super().__init__(covered, settings)
        self._index = index

    @classmethod
    def train(cls, table: PageTable, *, seed: int = 0) -> Self:
        """Centroids and codes for the live pages of ``table``."""
        faiss = load_faiss()
        positions = np.flatnonzero(table.alive)
        lists = max(1, centroid_count(table.live_rows) // 4)
        sample = sample_rows(table, positions, max(24 * lists, _SAMPLE), np.random.default_rng(seed))
        directions = two_level_kmeans(unit_rows(sample), lists, seed)
        dim = directions.shape[1]
        quantizer = faiss.IndexFlatIP(dim)
        quantizer.add(directions)
        parts = next(parts for parts in range(max(1, dim // 4), 0, -1) if dim % parts == 0)
        index = faiss.IndexIVFPQFastScan(
            quantizer, dim, len(directions), parts, 4, faiss.METRIC_INNER_PRODUCT
        )
        index.own_fields = True  # or the quantizer goes when this function ends
        quantizer.this.disown()
        index.train(np.ascontiguousarray(sample[:: max(1, len(sample) // _SAMPLE)]))
        index.nprobe = min(_LISTS_WALKED, len(directions))
        settings = StageSettings(trained_rows=table.live_rows)
        made = cls(index, np.zeros(len(table), bool), settings).with_pages(table, positions)
        return made.tuned(fit=made.settings.newest_fit)

    @property
    def nbytes(self) -> int:
        index = self._index
        return int(index.ntotal * (index.code_size + 8) + 4 * index.nlist * index.d)

    def effort(self, query_rows: float, budget: float, pages: int) -> float:
        codes = float(self._index.nprobe * self._index.ntotal / max(1, self._index.nlist))
        return query_rows * (_CODE * codes + _FOUND * self._wanted(budget, pages))

    def _wanted(self, budget: float, pages: int) -> int:
        return int(min(max(64.0, budget * pages), _MOST_FOUND, max(1, self._index.ntotal)))

    def estimates(self, query: FloatArray, pages: int, budget: float) -> FloatArray:
        found, ids = self._index.search(query, self._wanted(budget, pages))
        total = np.zeros(pages, np.float32)
        best = np.empty(pages, np.float32)
        for scores, owners in zip(found, ids, strict=True):
            kept = owners >= 0
            scores, owners = scores[kept], owners[kept]
            if len(scores):
                best.fill(scores[-1])
                best[owners[::-1]] = scores[::-1]  # the best of a page is written last
                total += best
        return total

    def grown(self, pages: int) -> Self:
        made = copy.copy(self)
        made.covered = np.concatenate([self.covered, np.zeros(pages - len(self.covered), bool)])
        return made

    def moved(self, target: IntArray, pages: int) -> Self:
        made = copy.copy(self)
        made._index = load_faiss().clone_index(self._index)
        _renumber(made._index, target)
        made.covered = np.zeros(pages, bool)
        made.covered[target[self.covered & (target >= 0)]] = True
        return made

    def with_pages(self, table: PageTable, positions: IntArray) -> Self:
        if not len(positions):
            return self
        made = self.moved(np.arange(len(self.covered)), len(self.covered))
        similarity = 0.0
        for owners, rows in row_blocks(table, positions):
            near, _ = made._index.quantizer.search(unit_rows(rows), 1)
            similarity += float(near.sum())
            made._index.add_with_ids(rows, owners)
        made.covered[positions] = True
        return made.tuned(newest_fit=similarity / float(table.count[positions].sum()))

    def tensors(self, positions: IntArray) -> dict[str, npt.NDArray[Any]]:
        number = np.full(len(self.covered), -1, np.int64)
        number[positions] = np.arange(len(positions))
        return {"index": load_faiss().serialize_index(self.moved(number, len(positions))._index)}

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, npt.NDArray[Any]], positions: IntArray, pages: int, settings: StageSettings
    ) -> Self:
        index = load_faiss().deserialize_index(tensors["index"])
        _renumber(index, positions)
        covered = np.zeros(pages, bool)
        covered[positions[positions >= 0]] = True
        return cls(index, covered, settings)


def _renumber(index: Any, target: IntArray) -> None:
    """Ids ``i`` become ``target[i]``, in place; -1 stays -1. ``ValueError`` for ids that are no position."""
    faiss = load_faiss()
    lists = index.invlists
    for number in range(index.nlist):
        size = lists.list_size(number)
        if size:
            ids = faiss.rev_swig_ptr(lists.get_ids(number), size)
            if ids.min() < -1 or ids.max() >= len(target):
                raise ValueError("its codes name pages that it does not list")
            ids[:] = np.where(ids >= 0, target[ids], -1)
