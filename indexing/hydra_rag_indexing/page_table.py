"""Which page lies where: the ordered, immutable list of pages behind a snapshot, as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hydra_rag.errors import CorruptionError, FingerprintError
from hydra_rag_indexing.segments import Segment, open_segment, segment_path

if TYPE_CHECKING:
    import torch

__all__ = ["IntArray", "PageRef", "PageTable"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PageRef:
    """One page: ``key`` (int64, never used again for another page) and its rows in a segment."""

    key: int
    segment_id: str
    row_start: int
    row_count: int


class PageTable:
    """Positions 0 … n-1 in the order given; ``alive`` is False for pages that were taken out.

    Positions are what the first stage and the scorer work with; keys are what goes in and out. A removed
    page keeps its position until the table is built afresh, so that structures over positions stay valid.
    """

    def __init__(
        self,
        keys: IntArray,
        segment: IntArray,
        start: IntArray,
        count: IntArray,
        alive: npt.NDArray[np.bool_],
        segments: Sequence[Segment],
    ) -> None:
        self.keys, self.segment, self.start, self.count, self.alive = keys, segment, start, count, alive
        self.segments = tuple(segments)
        self.live_pages = int(alive.sum())
        self.live_rows = int(count[alive].sum())
        self.max_norm = max((s.max_norm for s in self.segments), default=0.0)
        self._by_key = np.argsort(keys, kind="stable")
        self._sorted = keys[self._by_key]
        self._verified = np.zeros(len(keys), bool)

    def __len__(self) -> int:
        return len(self.keys)

    @classmethod
    def build(
        cls, directory: Path, pages: Sequence[PageRef], dim: int, opened: Mapping[str, Segment] | None = None
    ) -> PageTable:
        """Open the segments that ``pages`` name (or take them from ``opened``).

        Raises ``CorruptionError`` for segments that are missing or damaged, ``FingerprintError`` for
        segments of another dimension.
        """
        names = {ref.segment_id: i for i, ref in reversed(list(enumerate(pages)))}
        order = sorted(names, key=names.__getitem__)
        index = {name: i for i, name in enumerate(order)}
        segments = []
        for name in order:
            segment = (opened or {}).get(name) or open_segment(segment_path(directory, name))
            if segment.dim != dim:
                raise FingerprintError(
                    f"Segment {name} holds vectors of {segment.dim} dimensions, this index {dim}."
                    " The store was built with another model: run 'hydra-rag reindex'."
                )
            segments.append(segment)
        table = np.array(
            [(p.key, index[p.segment_id], p.row_start, p.row_count) for p in pages], np.int64
        ).reshape(len(pages), 4)
        keys, segment_of, start, count = (np.ascontiguousarray(table[:, i]) for i in range(4))
        if len(np.unique(keys)) != len(keys):
            raise CorruptionError("Two pages have the same key. Run 'hydra-rag doctor --repair'.")
        rows = np.array([s.rows for s in segments], np.int64)
        if len(keys) and ((start < 0) | (count < 1) | (start + count > rows[segment_of])).any():
            raise CorruptionError(
                "The catalog names rows that its segments do not have. Run 'hydra-rag doctor --repair'."
            )
        return cls(keys, segment_of, start, count, np.ones(len(keys), bool), segments)

    def changed(self, directory: Path, pages: Sequence[PageRef], dim: int) -> PageTable:
        """This table with ``pages`` as the live ones: known keys keep their positions, new ones follow.

        A known key may have moved to another segment (compaction); its vectors are the same.
        """
        fresh = PageTable.build(directory, pages, dim, {s.id: s for s in self.segments})
        known = self.positions(fresh.keys)
        new = known < 0
        total = len(self) + int(new.sum())
        target = np.where(new, len(self) + np.cumsum(new) - 1, known)
        alive = np.zeros(total, bool)
        alive[target] = True
        columns = []
        for old, now in (
            (self.keys, fresh.keys),
            (np.zeros(len(self), np.int64), fresh.segment),
            (self.start, fresh.start),
            (self.count, fresh.count),
        ):
            column = np.concatenate([old, np.zeros(total - len(self), np.int64)])
            column[target] = now
            columns.append(column)
        # Positions of removed pages point at segment 0 and are never read.
        return PageTable(columns[0], columns[1], columns[2], columns[3], alive, fresh.segments)

    def positions(self, keys: IntArray) -> IntArray:
        """Position of every key, -1 where there is none (removed pages are found)."""
        if not len(self.keys):
            return np.full(len(keys), -1, np.int64)
        at = np.minimum(np.searchsorted(self._sorted, keys), len(self._sorted) - 1)
        found: IntArray = np.where(self._sorted[at] == keys, self._by_key[at], -1)
        return found

    def mask(self, allowed: Iterable[int] | npt.NDArray[Any] | None) -> npt.NDArray[np.bool_]:
        """Live positions whose key is in ``allowed`` (``None``: all live ones)."""
        if allowed is None:
            return self.alive
        keys = allowed if isinstance(allowed, np.ndarray) else np.fromiter(allowed, np.int64)
        at = self.positions(keys.astype(np.int64, copy=False))
        chosen = np.zeros(len(self), bool)
        chosen[at[at >= 0]] = True
        return chosen & self.alive

    def by_id(self) -> dict[str, Segment]:
        return {s.id: s for s in self.segments}

    def rows(self, position: int) -> torch.Tensor:
        """The stored vectors of the page at ``position``, [n, dim], over the mapped file; not verified."""
        first = int(self.start[position])
        segment = self.segments[int(self.segment[position])]
        return segment.vectors[first : first + int(self.count[position])]

    def checksums(self) -> IntArray:
        """CRC-32 of every live page's contents, -1 for pages that were taken out."""
        found = np.full(len(self), -1, np.int64)
        for number, segment in enumerate(self.segments):
            here = np.flatnonzero(self.alive & (self.segment == number))
            crcs = np.asarray(segment.page_crc32, np.int64)
            at = np.minimum(np.searchsorted(segment.offsets, self.start[here]), len(crcs) - 1)
            found[here] = crcs[at]
        return found

    def verify(self, positions: IntArray) -> None:
        """Compare the checksums of these pages (once per page and process). ``CorruptionError``."""
        owners = self.segment[positions]
        used = np.flatnonzero(np.bincount(owners, minlength=len(self.segments)))
        if self._verified[positions].all():
            for number in used.tolist():
                self.segments[number].check_present()
            return
        for number in used.tolist():
            some = positions[owners == number]
            self.segments[number].check_rows(self.start[some], self.count[some])
        self._verified[positions] = True
