"""Changes to documents, as parts of a write transaction that the caller commits.

Nothing here makes itself visible: the caller ends its transaction with ``meta.fence`` (holder of the
write lease) or ``meta.bump`` (removal, which needs no lease).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from hydra_rag.errors import FingerprintError, NotFoundError
from hydra_rag.store.base import now
from hydra_rag.store.documents import parts
from hydra_rag.store.ids import new_id
from hydra_rag.store.models import (
    BlobRow,
    CollectionRow,
    DocumentRow,
    PageRow,
    PageVectorsRow,
    PageWordsRow,
    RemovedFileRow,
    SegmentRow,
)
from hydra_rag.store.records import BlobInfo, FailedPage, NewPage, NewSegment
from hydra_rag.store.store import Store

__all__ = [
    "add_blob",
    "add_page_vectors",
    "add_pages",
    "add_segment",
    "claim_collection",
    "drop_unused_segments",
    "finish_document",
    "note_removed",
    "remove_documents",
    "start_document",
]


def claim_collection(
    db: Session, tenant: str, name: str, *, fingerprint: str, dim: int, model: str | None
) -> None:
    """Make the collection exist and belong to this model; another model's vectors never mix in."""
    row = db.get(CollectionRow, (tenant, name))
    if row is None:
        db.add(CollectionRow(tenant=tenant, name=name, fingerprint=fingerprint, dim=dim, model=model))
        db.flush()
        return
    if row.fingerprint is None:
        row.fingerprint, row.dim, row.model = fingerprint, dim, model
    elif row.fingerprint != fingerprint:
        raise FingerprintError(
            f"The collection {name!r} was built by another model or adapter"
            f"{f' ({row.model})' if row.model else ''}: use that one, or run `hydra-rag reindex`."
        )
    db.flush()


def add_blob(db: Session, tenant: str, blob: BlobInfo) -> None:
    if db.get(BlobRow, (tenant, blob.sha256)) is None:
        db.add(
            BlobRow(
                tenant=tenant,
                sha256=blob.sha256,
                bytes=blob.bytes,
                suffix=blob.suffix,
                media_type=blob.media_type,
            )
        )
        db.flush()


def start_document(
    db: Session,
    tenant: str,
    collection: str,
    *,
    path: str,
    name: str,
    blob: BlobInfo,
    options: dict[str, Any],
    document_id: str | None = None,
) -> str:
    """A new document in state ``working``: stored, resumable, invisible to search.

    ``document_id``: one promised earlier by :func:`hydra_rag.store.ids.new_id`; used unless it is taken.
    """
    if document_id is None or db.get(DocumentRow, document_id) is not None:
        document_id = new_id()
    row = DocumentRow(
        id=document_id,
        tenant=tenant,
        collection=collection,
        path=path,
        name=name,
        sha256=blob.sha256,
        bytes=blob.bytes,
        media_type=blob.media_type,
        state="working",
        options=options,
    )
    db.add(row)
    db.flush()
    return row.id


def add_segment(db: Session, tenant: str, collection: str, segment: NewSegment) -> None:
    db.add(
        SegmentRow(
            id=segment.id,
            tenant=tenant,
            collection=collection,
            fingerprint=segment.fingerprint,
            sha256=segment.sha256,
            bytes=segment.bytes,
            rows=segment.rows,
            pages=len(segment.row_counts),
            dim=segment.dim,
            dtype=segment.dtype,
        )
    )
    db.flush()


def add_page_vectors(
    db: Session,
    tenant: str,
    page_keys: Sequence[int],
    segment: NewSegment,
    *,
    only: Collection[int] | None = None,
) -> None:
    """Rows for the segment's pages, ``page_keys`` in the order of the file; ``only``: for these keys."""
    rows = [
        {
            "page_key": key,
            "fingerprint": segment.fingerprint,
            "tenant": tenant,
            "segment_id": segment.id,
            "row_start": start,
            "row_count": count,
            "crc32": crc,
        }
        for key, start, count, crc in zip(
            page_keys, segment.row_starts, segment.row_counts, segment.crc32s, strict=True
        )
        if only is None or key in only
    ]
    if rows:
        db.execute(insert(PageVectorsRow), rows)


def add_pages(
    db: Session, tenant: str, collection: str, document_id: str, pages: Sequence[NewPage]
) -> list[int]:
    """Page rows with their words; returns the new page keys in order."""
    keys: list[int] = []
    for page in pages:
        row = PageRow(
            tenant=tenant,
            collection=collection,
            document_id=document_id,
            page_number=page.number,
            width=page.width,
            height=page.height,
            dpi=page.dpi,
            label=page.label,
            text_source=page.text_source,
            image_sha256=page.image_sha256,
            image_suffix=page.image_suffix,
            image_bytes=page.image_bytes,
        )
        db.add(row)
        db.flush()
        keys.append(row.page_key)
        if page.words:
            words = [[word.text, *word.box] for word in page.words]
            db.execute(insert(PageWordsRow).values(page_key=row.page_key, tenant=tenant, words=words))
    return keys


def finish_document(
    db: Session,
    store: Store,
    tenant: str,
    document_id: str,
    page_count: int,
    failed: Sequence[FailedPage] = (),
) -> list[str]:
    """Make a document ready and remove what it replaces (same path, same collection).

    ``failed``: pages of the file that could not be read; ``page_count`` does not count them.

    Returns the ids of the replaced documents. Raises :class:`NotFoundError` when the document was
    removed meanwhile.
    """
    row = db.scalar(select(DocumentRow).where(DocumentRow.tenant == tenant, DocumentRow.id == document_id))
    if row is None:
        raise NotFoundError("The document was removed while it was being ingested.")
    row.state, row.page_count, row.added = "ready", page_count, now()
    row.failed_pages = [page.to_json() for page in failed]
    db.flush()
    old = db.execute(
        select(DocumentRow.id, DocumentRow.state).where(
            DocumentRow.tenant == tenant,
            DocumentRow.collection == row.collection,
            DocumentRow.path == row.path,
            DocumentRow.id != document_id,
        )
    ).all()
    remove_documents(db, store, tenant, [other for other, _ in old])
    # An older version that was never ready is no version that anybody saw.
    return [other for other, state in old if state == "ready"]


def remove_documents(db: Session, store: Store, tenant: str, document_ids: Iterable[str]) -> None:
    """Delete documents with their pages, words, text and vector rows; note files without an owner."""
    for ids in parts(list(document_ids)):
        _remove_documents(db, store, tenant, ids)


def _remove_documents(db: Session, store: Store, tenant: str, ids: Sequence[str]) -> None:
    mine = (DocumentRow.tenant == tenant, DocumentRow.id.in_(ids))
    blobs = set(db.scalars(select(DocumentRow.sha256).where(*mine)))
    pages = (PageRow.tenant == tenant, PageRow.document_id.in_(ids))
    images = {
        (sha, suffix)
        for sha, suffix in db.execute(select(PageRow.image_sha256, PageRow.image_suffix).where(*pages))
    }
    segments = set(
        db.scalars(
            select(PageVectorsRow.segment_id)
            .join(PageRow, PageRow.page_key == PageVectorsRow.page_key)
            .where(*pages)
            .distinct()
        )
    )
    db.execute(delete(DocumentRow).where(*mine))
    drop_unused_segments(db, store, tenant, segments)
    for sha, suffix in images:
        used = select(PageRow.page_key).where(PageRow.tenant == tenant, PageRow.image_sha256 == sha).limit(1)
        if db.scalar(used) is None:
            note_removed(db, store, tenant, store.page_image_path(tenant, sha, suffix))
    for sha in blobs:
        used_by = (
            select(DocumentRow.id).where(DocumentRow.tenant == tenant, DocumentRow.sha256 == sha).limit(1)
        )
        row = db.get(BlobRow, (tenant, sha))
        if row is not None and db.scalar(used_by) is None:
            note_removed(db, store, tenant, store.blob_path(tenant, sha, row.suffix))
            db.delete(row)
    db.flush()


def drop_unused_segments(db: Session, store: Store, tenant: str, segment_ids: Iterable[str]) -> None:
    """Delete the rows of segments that no page points to any more and release their files."""
    for segment_id in segment_ids:
        used = select(PageVectorsRow.page_key).where(PageVectorsRow.segment_id == segment_id).limit(1)
        if db.scalar(used) is None:
            db.execute(delete(SegmentRow).where(SegmentRow.tenant == tenant, SegmentRow.id == segment_id))
            note_removed(db, store, tenant, store.segment_path(segment_id))


def note_removed(db: Session, store: Store, tenant: str, path: Path) -> None:
    """Remember that a file lost its last reference on purpose, so that the sweep may take it."""
    relative = str(path.relative_to(store.directory))
    if db.get(RemovedFileRow, relative) is None:
        db.add(RemovedFileRow(path=relative, tenant=tenant))
        db.flush()
