"""Between segment files and SQL rows: write vectors, commit the rows that name them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt
from sqlalchemy.orm import Session

from hydra_rag.store import changes
from hydra_rag.store.records import NewPage, NewSegment
from hydra_rag.store.store import Store

if TYPE_CHECKING:
    from hydra_rag.values import MultiVector

__all__ = ["commit_pages", "segment_of_arrays", "to_segment"]


def to_segment(
    store: Store, tmp: Path, fingerprint: str, vectors: Sequence[MultiVector], dtype: str
) -> NewSegment:
    """Write the vectors of some pages as one segment file; durable on return, named by no row yet."""
    arrays, boxes = [page.vectors for page in vectors], [page.boxes for page in vectors]
    return segment_of_arrays(store, tmp, fingerprint, arrays, boxes, dtype)


def segment_of_arrays(
    store: Store,
    tmp: Path,
    fingerprint: str,
    vectors: Sequence[npt.NDArray[Any]],
    boxes: Sequence[npt.NDArray[Any] | None],
    dtype: str,
) -> NewSegment:
    """The same from arrays [n, dim] and boxes [n, 4]."""
    from hydra_rag_indexing.segments import write_segment

    info = write_segment(store.segments_dir, tmp, vectors, boxes=boxes, dtype=dtype)
    return NewSegment(
        id=info.id,
        fingerprint=fingerprint,
        sha256=info.sha256,
        bytes=info.bytes,
        rows=info.rows,
        dim=info.dim,
        dtype=info.dtype,
        row_starts=tuple(accumulate(info.page_rows[:-1], initial=0)),
        row_counts=tuple(info.page_rows),
        crc32s=tuple(info.page_crc32),
    )


def commit_pages(
    db: Session,
    tenant: str,
    collection: str,
    document_id: str,
    pages: Sequence[NewPage],
    segment: NewSegment,
) -> None:
    """The rows of new pages, their vectors and their text; part of the caller's transaction."""
    from hydra_rag_indexing.files.page import join_words
    from hydra_rag_indexing.text import index_page_text

    changes.add_segment(db, tenant, collection, segment)
    keys = changes.add_pages(db, tenant, collection, document_id, pages)
    changes.add_page_vectors(db, tenant, keys, segment)
    for key, page in zip(keys, pages, strict=True):
        if page.words:
            index_page_text(db, key, tenant, join_words(list(page.words)))
