"""Vectors of another model for pages that are already stored, from their stored images.

Pages get rows of the new fingerprint beside the old ones, batch by batch (so an interrupted run goes on
where it stopped); one last transaction switches the collection and drops the old vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from hydra_rag.errors import CorruptionError, UsageError
from hydra_rag.store import changes, documents
from hydra_rag.store.models import CollectionRow, DocumentRow, PageRow, PageVectorsRow
from hydra_rag.store.records import PageInfo
from hydra_rag.store.store import Store
from hydra_rag_indexing.lease import WriteLease
from hydra_rag_indexing.page_images import load_page_image
from hydra_rag_indexing.page_reading import read_by_model, set_words, wants_reading
from hydra_rag_indexing.pipeline import Settings
from hydra_rag_indexing.prefetch import Prefetch
from hydra_rag_indexing.vector_rows import to_segment

if TYPE_CHECKING:
    from PIL import Image

    from hydra_rag.values import Embedder, MultiVector, Word
    from hydra_rag_indexing.collection import Collection

__all__ = ["embed_missing", "reindex"]


def reindex(collection: Collection, progress: Callable[[int, int], None] | None = None) -> int:
    """Embed all pages with the collection object's model and switch to it. Returns pages embedded.

    Raises :class:`StoreBusyError` while another process writes, :class:`CorruptionError` when a page's
    image can't be read (nothing is switched then).
    """
    store, tenant, name = collection.store, collection.tenant, collection.name
    if collection.info().fingerprint is None:
        raise UsageError(f"The collection {name!r} is empty: ingest something first.")
    embedder = collection.embedder()
    with WriteLease.acquire(store) as lease:
        count, unreadable = embed_missing(
            store, lease, tenant, name, embedder, collection.settings or Settings(), progress
        )
        if unreadable:
            raise CorruptionError(
                f"{len(unreadable)} page images can't be read, so nothing was switched: "
                "run `hydra-rag doctor --repair` and then `hydra-rag reindex` again."
            )
        _switch(store, lease, tenant, name, embedder, collection.model)
    collection.forget_snapshot()
    return count


def embed_missing(
    store: Store,
    lease: WriteLease,
    tenant: str,
    collection: str,
    embedder: Embedder,
    settings: Settings,
    progress: Callable[[int, int], None] | None = None,
    *,
    visible: bool = False,
) -> tuple[int, list[PageInfo]]:
    """Give every page without vectors of this model some. Returns (pages embedded, unreadable pages).

    ``visible``: the collection is searched by this model already (repair).
    """
    with store.session() as db:
        missing = _missing(db, tenant, collection, embedder.fingerprint)
        modes = _text_modes(db, tenant, collection)
    unreadable: list[PageInfo] = []
    done = 0

    def images() -> Iterator[tuple[PageInfo, Image.Image]]:
        for page in missing:
            try:
                yield page, load_page_image(store, tenant, page)
            except CorruptionError:
                unreadable.append(page)

    batch: list[tuple[PageInfo, Image.Image]] = []
    pending: list[tuple[PageInfo, MultiVector]] = []
    texts: dict[int, list[Word]] = {}

    def embed() -> None:
        vectors = embedder.embed_pages([image for _, image in batch])
        pending.extend((page, vector) for (page, _), vector in zip(batch, vectors, strict=True))
        unread = [(p, i) for p, i in batch if wants_reading(p.text_source, modes[p.document_id])]
        read = read_by_model(embedder, [image for _, image in unread]) if unread else None
        texts.update((page.page_key, words) for (page, _), words in zip(unread, read or (), strict=False))
        batch.clear()

    def commit() -> None:
        nonlocal done
        if pending:
            _commit(store, lease, tenant, collection, embedder.fingerprint, pending, texts, settings, visible)
            done += len(pending)
            pending.clear()
            texts.clear()
            if progress is not None:
                progress(done, len(missing))

    with Prefetch(images, 2 * settings.embed_pages) as pages:
        for item in pages:
            batch.append(item)
            if len(batch) >= settings.embed_pages:
                embed()
            if len(pending) >= settings.segment_pages:
                commit()
    if batch:
        embed()
    commit()
    return done, unreadable


def _missing(db: Session, tenant: str, collection: str, fingerprint: str) -> list[PageInfo]:
    has = exists().where(
        PageVectorsRow.page_key == PageRow.page_key, PageVectorsRow.fingerprint == fingerprint
    )
    query = (
        select(PageRow)
        .where(PageRow.tenant == tenant, PageRow.collection == collection, ~has)
        .order_by(PageRow.page_key)
    )
    return [documents.page_info(row) for row in db.scalars(query)]


def _text_modes(db: Session, tenant: str, collection: str) -> dict[str, str]:
    """The ``ocr`` option that each document was ingested with."""
    query = select(DocumentRow.id, DocumentRow.options)
    rows = db.execute(query.where(DocumentRow.tenant == tenant, DocumentRow.collection == collection))
    return {document_id: str((options or {}).get("ocr", "auto")) for document_id, options in rows}


def _commit(
    store: Store,
    lease: WriteLease,
    tenant: str,
    collection: str,
    fingerprint: str,
    pending: Sequence[tuple[PageInfo, MultiVector]],
    texts: Mapping[int, list[Word]],
    settings: Settings,
    visible: bool,
) -> None:
    vectors = [vector for _, vector in pending]
    segment = to_segment(store, lease.tmp, fingerprint, vectors, settings.dtype)
    keys = [page.page_key for page, _ in pending]
    with store.write() as db:
        lease.fence(db, visible=visible)
        changes.add_segment(db, tenant, collection, segment)
        # Pages removed while the model worked keep dead rows in the file, nothing else.
        alive = set(db.scalars(select(PageRow.page_key).where(PageRow.page_key.in_(keys))))
        changes.add_page_vectors(db, tenant, keys, segment, only=alive)
        for key in alive & texts.keys():
            set_words(db, tenant, key, texts[key], "model")
        changes.drop_unused_segments(db, store, tenant, [segment.id])


def _switch(
    store: Store, lease: WriteLease, tenant: str, collection: str, embedder: Embedder, model: str | None
) -> None:
    with store.write() as db:
        lease.fence(db)
        if _missing(db, tenant, collection, embedder.fingerprint):
            raise CorruptionError(
                "Some pages have no vectors of the new model: run `hydra-rag reindex` again."
            )
        row = db.get_one(CollectionRow, (tenant, collection))
        row.fingerprint, row.dim, row.model = embedder.fingerprint, embedder.dim, model
        ours = select(PageRow.page_key).where(PageRow.tenant == tenant, PageRow.collection == collection)
        old = (
            PageVectorsRow.page_key.in_(ours),
            PageVectorsRow.fingerprint != embedder.fingerprint,
            PageVectorsRow.tenant == tenant,
        )
        segments = set(db.scalars(select(PageVectorsRow.segment_id).where(*old).distinct()))
        db.execute(delete(PageVectorsRow).where(*old))
        changes.drop_unused_segments(db, store, tenant, segments)
