"""Which pages have a vector near a centroid: one posting per (page, centroid), list after list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hydra_rag_indexing.page_table import IntArray

__all__ = ["Lists"]


@dataclass(frozen=True)
class Lists:
    """Postings: list ``c`` is ``pages[starts[c]:starts[c + 1]]``, positions in the page table
    (uint16 while they fit, else int32)."""

    starts: IntArray
    pages: npt.NDArray[Any]

    @classmethod
    def make(cls, pages: IntArray, centroids: IntArray, count: int) -> Lists:
        """From (page, centroid) pairs, repeats allowed."""
        pairs = centroids * (1 << 40) + pages
        if (pairs[1:] <= pairs[:-1]).any():
            pairs.sort()  # np.unique takes ten times as long
            pairs = pairs[np.diff(pairs, prepend=-1) > 0]
        starts = np.searchsorted(pairs, np.arange(count + 1, dtype=np.int64) << 40)
        numbers = pairs & ((1 << 40) - 1)
        small = not len(numbers) or int(numbers.max()) < 1 << 16
        return cls(starts.astype(np.int64), numbers.astype(np.uint16 if small else np.int32))

    def pairs(self) -> tuple[IntArray, IntArray]:
        centroids = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        return self.pages.astype(np.int64), centroids

    @property
    def nbytes(self) -> int:
        return self.starts.nbytes // 2 + self.pages.nbytes  # as saved: lengths in 32 bits
