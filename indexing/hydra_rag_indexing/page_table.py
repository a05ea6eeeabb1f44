"""Which page lies where: the ordered, immutable list of pages behind a snapshot, as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hydra_rag.errors import CorruptionError, FingerprintError
from hydra_rag.values import FloatArray
from hydra_rag_indexing.page_list import IntArray, PageList, PageRef
from hydra_rag_indexing.segments import Segment, open_segment, segment_path

if TYPE_CHECKING:
    import torch

__all__ = ["IntArray", "PageList", "PageRef", "PageTable"]


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
        #: Natural logarithm of every page's number of vectors, float32.
        self.log_count: FloatArray = np.log(np.maximum(count, 1)).astype(np.float32)
        self._by_key = np.argsort(keys, kind="stable")
        self._sorted = keys[self._by_key]
        self._verified = np.zeros(len(keys), bool)

    def __len__(self) -> int:
        return len(self.keys)

    @classmethod
    def build(
        cls,
        directory: Path,
        pages: PageList | Sequence[PageRef],
        dim: int,
        opened: Mapping[str, Segment] | None = None,
    ) -> PageTable:
        """Open the segments that ``pages`` name (or take them from ``opened``).

        Raises ``CorruptionError`` for segments that are missing or damaged, ``FingerprintError`` for
        segments of another dimension.
        """
        listed = PageList.of(pages)
        segments = []
        for name in listed.names:
            segment = (opened or {}).get(name) or open_segment(segment_path(directory, name))
            if segment.dim != dim:
                raise FingerprintError(
                    f"Segment {name} holds vectors of {segment.dim} dimensions, this index {dim}."
                    " The store was built with another model: run 'hydra-rag reindex'."
                )
            segments.append(segment)
        start, count = listed.start, listed.count
        rows = np.array([s.rows for s in segments], np.int64)
        if len(listed) and ((start < 0) | (count < 1) | (start + count > rows[listed.segment])).any():
            raise CorruptionError(
                "The catalog names rows that its segments do not have. Run 'hydra-rag doctor --repair'."
            )
        table = cls(listed.keys, listed.segment, start, count, np.ones(len(listed), bool), segments)
        if (table._sorted[1:] == table._sorted[:-1]).any():
            raise CorruptionError("Two pages have the same key. Run 'hydra-rag doctor --repair'.")
        return table

    def changed(self, directory: Path, pages: PageList | Sequence[PageRef], dim: int) -> PageTable:
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
        made = PageTable(columns[0], columns[1], columns[2], columns[3], alive, fresh.segments)
        # What was verified and lies where it lay needs no second look.
        number = {id(s): i for i, s in enumerate(fresh.segments)}
        moved = np.array([number.get(id(s), -1) for s in self.segments], np.int64)
        if len(moved):
            stayed = made.alive[: len(self)] & self._verified & (made.start[: len(self)] == self.start)
            made._verified[: len(self)] = stayed & (made.segment[: len(self)] == moved[self.segment])
        return made

    def listed(self) -> PageList:
        """The live pages."""
        names, live = tuple(s.id for s in self.segments), self.alive
        return PageList(names, self.keys[live], self.segment[live], self.start[live], self.count[live])

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
