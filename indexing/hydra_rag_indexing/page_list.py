"""The pages of an index and where their rows lie, as columns: cheap to compare, to extend, to take from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["IntArray", "PageList", "PageRef"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PageRef:
    """One page: ``key`` (int64, never used again for another page) and its rows in a segment."""

    key: int
    segment_id: str
    row_start: int
    row_count: int


@dataclass(frozen=True, eq=False)
class PageList:
    """Page ``i``: ``keys[i]``, rows ``start[i]`` to ``start[i] + count[i]`` of ``names[segment[i]]``."""

    names: tuple[str, ...]
    keys: IntArray
    segment: IntArray
    start: IntArray
    count: IntArray

    @classmethod
    def of(cls, pages: PageList | Sequence[PageRef]) -> PageList:
        if isinstance(pages, PageList):
            return pages
        return cls.from_rows([(p.key, p.segment_id, p.row_start, p.row_count) for p in pages])

    @classmethod
    def from_rows(cls, rows: Sequence[tuple[int, str, int, int]]) -> PageList:
        """From (key, segment, first row, rows), in order."""
        if not rows:
            empty = np.empty(0, np.int64)
            return cls((), empty, empty, empty, empty)
        keys, segments, start, count = zip(*rows, strict=True)
        numbers = {name: i for i, name in enumerate(dict.fromkeys(segments))}
        of = np.fromiter(map(numbers.__getitem__, segments), np.int64, len(rows))
        return cls(
            tuple(numbers),
            np.array(keys, np.int64),
            of,
            np.array(start, np.int64),
            np.array(count, np.int64),
        )

    def __len__(self) -> int:
        return len(self.keys)

    def same(self, other: PageList) -> bool:
        """Whether both name the same pages at the same places in the same order."""
        mine = (self.keys, self.segment, self.start, self.count)
        theirs = (other.keys, other.segment, other.start, other.count)
        return self.names == other.names and all(map(np.array_equal, mine, theirs))

    def with_rows(self, rows: Sequence[tuple[int, str, int, int]]) -> PageList:
        """With these pages at the end."""
        more = PageList.from_rows(rows)
        names = tuple(dict.fromkeys(self.names + more.names))
        at = np.array([names.index(name) for name in more.names], np.int64)
        return PageList(
            names,
            np.concatenate([self.keys, more.keys]),
            np.concatenate([self.segment, at[more.segment]]),
            np.concatenate([self.start, more.start]),
            np.concatenate([self.count, more.count]),
        )

    def without(self, keys: Iterable[int]) -> PageList:
        """Without the pages that have these keys; segments left without a page are no longer named."""
        kept = ~np.isin(self.keys, np.fromiter(keys, np.int64))
        used = np.flatnonzero(np.bincount(self.segment[kept], minlength=len(self.names)))
        return PageList(
            tuple(self.names[i] for i in used.tolist()),
            self.keys[kept],
            np.searchsorted(used, self.segment[kept]),
            self.start[kept],
            self.count[kept],
        )
