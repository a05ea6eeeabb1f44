"""Reading documents and pages. Every function takes the tenant and sees nothing of another one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from sqlalchemy import ScalarSelect, func, select
from sqlalchemy.orm import Session

from hydra_rag.errors import NotFoundError
from hydra_rag.geometry import Box
from hydra_rag.store.models import (
    BlobRow,
    CollectionRow,
    DocumentRow,
    PageRow,
    PageVectorsRow,
    PageWordsRow,
)
from hydra_rag.store.records import (
    BlobInfo,
    CollectionInfo,
    DocumentInfo,
    FailedPage,
    PageInfo,
)
from hydra_rag.store.store import Store
from hydra_rag.values import Word

__all__ = [
    "blob_of",
    "failed_pages",
    "get_collection",
    "get_document",
    "get_page",
    "list_collections",
    "list_documents",
    "page_words",
    "pages_of",
    "parts",
    "vector_rows",
    "visible_pages",
]

T = TypeVar("T")


def get_collection(db: Session, tenant: str, name: str) -> CollectionInfo | None:
    row = db.get(CollectionRow, (tenant, name))
    return None if row is None else CollectionInfo(tenant, name, row.fingerprint, row.dim, row.model)


def list_collections(store: Store, tenant: str) -> list[CollectionInfo]:
    query = select(CollectionRow).where(CollectionRow.tenant == tenant).order_by(CollectionRow.name)
    with store.session() as db:
        return [
            CollectionInfo(tenant, row.name, row.fingerprint, row.dim, row.model) for row in db.scalars(query)
        ]


def list_documents(
    store: Store,
    tenant: str,
    collection: str,
    *,
    status: str | None = None,
    limit: int | None = None,
    after: str | None = None,
) -> list[DocumentInfo]:
    """In the order they were added. ``status``: ``"ready"`` or ``"working"`` only. ``limit``: the first so
    many; ``after``: of those that were added after the document of this id, which may be gone."""
    query = (
        select(DocumentRow, _stored_pages())
        .where(DocumentRow.tenant == tenant, DocumentRow.collection == collection)
        .order_by(DocumentRow.id)
    )
    if status is not None:
        query = query.where(DocumentRow.state == status)
    if after is not None:
        query = query.where(DocumentRow.id > after)
    with store.session() as db:
        return [document_info(row, pages) for row, pages in db.execute(query.limit(limit))]


def get_document(store: Store, tenant: str, collection: str, document_id: str) -> DocumentInfo:
    """One document with its pages. Raises :class:`NotFoundError`."""
    query = select(DocumentRow).where(
        DocumentRow.tenant == tenant, DocumentRow.collection == collection, DocumentRow.id == document_id
    )
    with store.session() as db:
        row = db.scalar(query)
        if row is None:
            raise _unknown_document(document_id)
        pages = pages_of(db, tenant, document_id)
        return document_info(row, len(pages), pages)


def pages_of(db: Session, tenant: str, document_id: str) -> tuple[PageInfo, ...]:
    query = (
        select(PageRow)
        .where(PageRow.tenant == tenant, PageRow.document_id == document_id)
        .order_by(PageRow.page_number)
    )
    return tuple(page_info(row) for row in db.scalars(query))


def get_page(store: Store, tenant: str, collection: str, document_id: str, page: int) -> PageInfo:
    """A page by its 1-based number. Raises :class:`NotFoundError`."""
    query = select(PageRow).where(
        PageRow.tenant == tenant,
        PageRow.collection == collection,
        PageRow.document_id == document_id,
        PageRow.page_number == page,
    )
    with store.session() as db:
        row = db.scalar(query)
        if row is None:
            raise NotFoundError(f"There is no page {page} of document {document_id}: pages count from 1.")
        return page_info(row)


def page_words(store: Store, tenant: str, page_key: int) -> list[Word]:
    """The text layer with boxes in page pixels; empty where the page has none."""
    query = select(PageWordsRow.words).where(PageWordsRow.tenant == tenant, PageWordsRow.page_key == page_key)
    with store.session() as db:
        words = db.scalar(query)
    return [Word(text, Box(left, top, right, bottom)) for text, left, top, right, bottom in words or ()]


def blob_of(store: Store, tenant: str, sha256: str) -> BlobInfo | None:
    with store.session() as db:
        row = db.get(BlobRow, (tenant, sha256))
        return None if row is None else BlobInfo(row.sha256, row.bytes, row.suffix, row.media_type)


def vector_rows(
    db: Session, tenant: str, collection: str, fingerprint: str
) -> list[tuple[int, str, int, int]]:
    """Where the vectors of every searchable page lie: (page key, segment, first row, rows), by page key."""
    query = (
        select(
            PageVectorsRow.page_key,
            PageVectorsRow.segment_id,
            PageVectorsRow.row_start,
            PageVectorsRow.row_count,
        )
        .join(PageRow, PageRow.page_key == PageVectorsRow.page_key)
        .join(DocumentRow, DocumentRow.id == PageRow.document_id)
        .where(
            PageRow.tenant == tenant,
            PageRow.collection == collection,
            PageVectorsRow.tenant == tenant,
            PageVectorsRow.fingerprint == fingerprint,
            DocumentRow.tenant == tenant,
            DocumentRow.state == "ready",
        )
        .order_by(PageVectorsRow.page_key)
    )
    return [(key, segment, start, count) for key, segment, start, count in db.execute(query)]


def visible_pages(
    db: Session,
    tenant: str,
    collection: str,
    page_keys: Iterable[int],
    documents: Sequence[str] | None = None,
) -> dict[int, tuple[DocumentInfo, PageInfo]]:
    """Those of ``page_keys`` that the tenant may see right now, with what they are.

    The last word on every hit: tenant, collection, liveness and document filter, in one snapshot.
    """
    query = (
        select(PageRow, DocumentRow)
        .join(DocumentRow, DocumentRow.id == PageRow.document_id)
        .where(
            PageRow.tenant == tenant,
            PageRow.collection == collection,
            DocumentRow.tenant == tenant,
            DocumentRow.collection == collection,
            DocumentRow.state == "ready",
        )
    )
    wanted = None if documents is None else set(documents)
    found: dict[int, tuple[DocumentInfo, PageInfo]] = {}
    for some in parts(list(page_keys)):
        for page, document in db.execute(query.where(PageRow.page_key.in_(some))):
            if wanted is None or document.id in wanted:
                found[page.page_key] = (document_info(document, document.page_count), page_info(page))
    return found


def parts(values: Sequence[T], size: int = 500) -> Iterator[Sequence[T]]:
    """``values`` in parts: databases take only so many parameters in one statement."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def document_info(row: DocumentRow, pages: int, page_list: tuple[PageInfo, ...] = ()) -> DocumentInfo:
    return DocumentInfo(
        document_id=row.id,
        document=row.name,
        path=row.path,
        collection=row.collection,
        status=row.state,
        pages=pages,
        bytes=row.bytes,
        media_type=row.media_type,
        sha256=row.sha256,
        added=row.added,
        page_list=page_list,
        failed_pages=failed_pages(row),
    )


def failed_pages(row: DocumentRow) -> tuple[FailedPage, ...]:
    """Pages of the file that could not be read, in order."""
    return tuple(FailedPage(**entry) for entry in row.failed_pages)


def page_info(row: PageRow) -> PageInfo:
    return PageInfo(
        page_key=row.page_key,
        document_id=row.document_id,
        page=row.page_number,
        width=row.width,
        height=row.height,
        dpi=row.dpi,
        label=row.label,
        text_source=row.text_source,
        image_sha256=row.image_sha256,
        image_suffix=row.image_suffix,
    )


def _stored_pages() -> ScalarSelect[int]:
    return (
        select(func.count())
        .select_from(PageRow)
        .where(PageRow.document_id == DocumentRow.id)
        .correlate(DocumentRow)
        .scalar_subquery()
    )


def _unknown_document(document_id: str) -> NotFoundError:
    return NotFoundError(f"There is no document {document_id}: `hydra-rag documents list` shows them.")
