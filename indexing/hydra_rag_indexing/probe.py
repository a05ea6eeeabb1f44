"""The centroids nearest to query rows: one byte a number where the processor multiplies bytes exactly."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hydra_rag.values import FloatArray
from hydra_rag_indexing.page_table import IntArray

if TYPE_CHECKING:
    import torch

__all__ = ["Probe", "quantised"]

#: Rows whose scales differ by no more than this are coded with one scale for all: products then need none.
_UNEVEN = 0.25
_BLOCK = 32  # centroids whose best score stands for them in the first cut


def quantised(rows: FloatArray) -> tuple[npt.NDArray[np.int8], FloatArray]:
    """int8 [n, dim] and float32 scales [n], so that codes x scale is about ``rows``."""
    scale = np.abs(rows).max(1, initial=0.0).astype(np.float32) / 127.0
    codes = np.rint(rows / np.maximum(scale, 1e-30)[:, None]).astype(np.int8)
    return codes, scale


@functools.cache
def bytes_multiply_exactly() -> bool:
    """Whether int8 products are exact here. Without the instructions for them the library's sums saturate."""
    import torch

    worst = torch.full((64, 256), 127, dtype=torch.int8)
    try:
        found = torch._int_mm(worst, -worst.T.contiguous())
    except (AttributeError, RuntimeError):
        return False
    return bool((found == -(127 * 127 * 256)).all())


class Probe:
    """Scores of query rows against centroids given as ``codes`` int8 [n, dim] times ``scale`` [n]."""

    def __init__(self, codes: npt.NDArray[np.int8], scale: FloatArray) -> None:
        import torch

        self.codes, self.scale = codes, scale
        self._codes, self._scale = torch.from_numpy(codes), torch.from_numpy(scale)
        self._floats: torch.Tensor | None = None
        self._step = float(scale.max(initial=0.0))
        self._even: torch.Tensor | None = None
        if self._step * _UNEVEN < scale.min(initial=self._step, where=scale > 0):
            shares = torch.from_numpy(scale / np.float32(self._step))
            self._even = (self._codes * shares[:, None]).round_().to(torch.int8)

    @property
    def nbytes(self) -> int:
        """Bytes as saved."""
        return self.codes.nbytes + self.scale.nbytes

    def placed(
        self, target: IntArray, count: int, new: Probe | None = None, at: IntArray | None = None
    ) -> Probe:
        """``count`` rows: row ``i`` at ``target[i]`` (-1: dropped), ``new`` ones at ``at``, else zero."""
        codes, scale = np.zeros((count, self.codes.shape[1]), np.int8), np.zeros(count, np.float32)
        kept = target >= 0
        codes[target[kept]], scale[target[kept]] = self.codes[kept], self.scale[kept]
        if new is not None:
            codes[at], scale[at] = new.codes, new.scale
        return Probe(codes, scale)

    def scores(self, query: FloatArray) -> FloatArray:
        """Of every row [q, dim] against all: float32 [q, n]."""
        found, scale = self._products(query)
        scores: FloatArray = found.T.numpy() * scale
        return scores

    def top(self, query: FloatArray, count: int) -> tuple[FloatArray, IntArray]:
        """The ``count`` best centroids of every row [q, dim]: scores and ids [q, count], best first."""
        found, scale = self._products(query)
        scores = found.numpy()
        total, rows = scores.shape
        blocks = total // _BLOCK
        if count * 4 >= blocks:
            top = found.T.topk(min(count, total), dim=1)
            return top.values.numpy() * scale, top.indices.numpy()
        # At least `count` centroids are as good as the best of the `count`-th best block, and few more. Block
        # `j` is every `blocks`-th centroid from `j` on: maxima of whole runs of numbers are found sooner.
        whole = blocks * _BLOCK
        best = scores[:whole].reshape(_BLOCK, blocks * rows).max(0).reshape(blocks, rows)
        least = np.partition(best, blocks - count, axis=0)[blocks - count]
        block, row = np.nonzero(best >= least)
        cells = (block * rows + row)[:, None] + np.arange(0, whole * rows, blocks * rows)
        at = cells[scores.ravel()[cells] >= least[row, None]]
        if whole < total:
            at = np.concatenate([at, np.flatnonzero(scores[whole:] >= least) + whole * rows])
        near = scores.ravel()[at]
        ids, row = np.divmod(at, rows)
        order = np.lexsort((-near, row))
        some = order[np.searchsorted(row[order], np.arange(rows))[:, None] + np.arange(count)]
        return near[some] * scale, ids[some]

    def _products(self, query: FloatArray) -> tuple[torch.Tensor, FloatArray]:
        """[n, q] and float32 [q, 1]: scores, transposed, but for a factor of each query row."""
        import torch

        if not bytes_multiply_exactly():
            if self._floats is None:
                self._floats = self._codes.float() * self._scale[:, None]
            return self._floats @ torch.from_numpy(query).T, np.ones((len(query), 1), np.float32)
        codes, scale = quantised(query)
        if len(query) == 1:
            products = torch._int_mm(torch.from_numpy(codes), self._codes.T).T
            return products * self._scale[:, None], scale[:, None]
        # The many rows on the left: the library packs what stands on the right anew at every call.
        if self._even is not None:
            turned = torch.from_numpy(codes).T.contiguous()
            return torch._int_mm(self._even, turned), scale[:, None] * np.float32(self._step)
        products = torch._int_mm(self._codes, torch.from_numpy(codes).T.contiguous())
        return products * self._scale[:, None], scale[:, None]
