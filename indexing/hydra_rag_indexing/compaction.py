"""Compaction: segments with many dead rows or few pages are written anew, together.

The new file is durable before one transaction points the pages to it; the old files go to the trash.
Readers keep what they have mapped; one that opens too late reads the rows again. Nothing is overwritten.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt
from sqlalchemy import func, select, update

from hydra_rag.errors import CorruptionError
from hydra_rag.store import changes
from hydra_rag.store.models import PageVectorsRow, SegmentRow
from hydra_rag.store.store import Store
from hydra_rag_indexing.lease import WriteLease
from hydra_rag_indexing.sweep import sweep

__all__ = ["compact", "compact_segments", "small_segments"]

log = logging.getLogger(__name__)

_MAX_DEAD = 0.30
_SMALL_BYTES = 4 << 20
_TARGET_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class _Segment:
    id: str
    tenant: str
    collection: str
    fingerprint: str
    dtype: str
    dim: int
    bytes: int
    rows: int
    live: int

    @property
    def kind(self) -> tuple[str, str, str, str, int]:
        """Only segments of one kind may be merged: one tenant, one collection, one model."""
        return (self.tenant, self.collection, self.fingerprint, self.dtype, self.dim)


@dataclass(frozen=True, slots=True)
class _Move:
    page_key: int
    segment_id: str
    row_start: int
    vectors: npt.NDArray[np.floating]
    boxes: npt.NDArray[np.int32]


def compact(store: Store, *, purge: bool = False, wait_s: float = 0.0) -> int:
    """Compact and sweep the whole store, all tenants. Returns the number of segments rewritten.

    ``purge``: every dead row goes, and the trash is emptied. Raises :class:`StoreBusyError` while another
    process writes.
    """
    with WriteLease.acquire(store, wait_s=wait_s) as lease:
        count = compact_segments(store, lease, purge=purge)
        sweep(store, lease, purge=purge)
    return count


def small_segments(store: Store, tenant: str, collection: str) -> int:
    """How many segments of a collection are small enough to be worth merging."""
    query = (
        select(func.count())
        .select_from(SegmentRow)
        .where(
            SegmentRow.tenant == tenant,
            SegmentRow.collection == collection,
            SegmentRow.bytes < _SMALL_BYTES,
        )
    )
    with store.session() as db:
        return db.scalar(query) or 0


def compact_segments(store: Store, lease: WriteLease, *, purge: bool = False) -> int:
    """The part of :func:`compact` that rewrites. Damaged segments are left for ``doctor``."""
    count = 0
    for group in _groups(_segments(store), purge):
        try:
            moves = [move for segment in group for move in _live_pages(store, segment)]
        except CorruptionError as error:
            log.warning("not compacting: %s", error)
            continue
        _rewrite(store, lease, group, moves)
        count += len(group)
    return count


def _segments(store: Store) -> list[_Segment]:
    live = func.coalesce(func.sum(PageVectorsRow.row_count), 0)
    query = (
        select(SegmentRow, live)
        .outerjoin(PageVectorsRow, PageVectorsRow.segment_id == SegmentRow.id)
        .group_by(SegmentRow.id)
        .order_by(
            SegmentRow.tenant,
            SegmentRow.collection,
            SegmentRow.fingerprint,
            SegmentRow.dtype,
            SegmentRow.dim,
            SegmentRow.created,
            SegmentRow.id,
        )
    )
    with store.session() as db:
        return [
            _Segment(
                row.id,
                row.tenant,
                row.collection,
                row.fingerprint,
                row.dtype,
                row.dim,
                row.bytes,
                row.rows,
                int(live_rows),
            )
            for row, live_rows in db.execute(query)
        ]


def _groups(segments: Sequence[_Segment], purge: bool) -> Iterator[list[_Segment]]:
    """What to rewrite together, up to the target size."""
    for _, same in groupby(segments, key=lambda segment: segment.kind):
        members = list(same)
        dead = {s.id for s in members if s.live < s.rows * (1.0 if purge else 1.0 - _MAX_DEAD)}
        small = {s.id for s in members if s.bytes < _SMALL_BYTES and s.id not in dead}
        full: list[list[_Segment]] = []
        group: list[_Segment] = []
        size = 0
        for segment in members:
            if segment.id not in dead and segment.id not in small:
                continue
            if group and size + segment.bytes > _TARGET_BYTES:
                full.append(group)
                group, size = [], 0
            group.append(segment)
            size += segment.bytes
        # A single small segment would be copied for nothing.
        yield from (g for g in [*full, group] if len(g) > 1 or any(s.id in dead for s in g))


def _live_pages(store: Store, segment: _Segment) -> Iterator[_Move]:
    """Vectors and boxes of every page that is still there, checked against their checksums."""
    from hydra_rag_indexing.segments import open_segment

    query = (
        select(PageVectorsRow.page_key, PageVectorsRow.row_start)
        .where(PageVectorsRow.segment_id == segment.id)
        .order_by(PageVectorsRow.row_start)
    )
    with store.session() as db:
        pages = db.execute(query).all()
    if not pages:
        return
    opened = open_segment(store.segment_path(segment.id), expected_bytes=segment.bytes)
    numbers = {int(start): number for number, start in enumerate(opened.offsets[:-1])}
    for page_key, row_start in pages:
        if row_start not in numbers:
            raise CorruptionError(
                f"Page {page_key} points between the pages of its segment: run `hydra-rag doctor --repair`."
            )
        vectors, boxes = opened.page(numbers[row_start])
        yield _Move(page_key, segment.id, row_start, vectors.numpy(), boxes)


def _rewrite(store: Store, lease: WriteLease, group: Sequence[_Segment], moves: Sequence[_Move]) -> None:
    from hydra_rag_indexing.vector_rows import segment_of_arrays

    first = group[0]
    segment = None
    if moves:
        segment = segment_of_arrays(
            store,
            lease.tmp,
            first.fingerprint,
            [move.vectors for move in moves],
            [move.boxes for move in moves],
            first.dtype,
        )
    with store.write() as db:
        lease.fence(db)
        if segment is not None:
            changes.add_segment(db, first.tenant, first.collection, segment)
            for move, start, crc in zip(moves, segment.row_starts, segment.crc32s, strict=True):
                # A page that was removed meanwhile matches nothing; its rows are dead in the new file.
                db.execute(
                    update(PageVectorsRow)
                    .where(
                        PageVectorsRow.page_key == move.page_key,
                        PageVectorsRow.fingerprint == first.fingerprint,
                        PageVectorsRow.segment_id == move.segment_id,
                        PageVectorsRow.row_start == move.row_start,
                    )
                    .values(segment_id=segment.id, row_start=start, crc32=crc)
                )
            changes.drop_unused_segments(db, store, first.tenant, [segment.id])
        changes.drop_unused_segments(db, store, first.tenant, [old.id for old in group])
