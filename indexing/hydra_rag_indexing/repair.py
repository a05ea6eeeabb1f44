"""Mend what ``doctor`` found: originals from their sources, images from originals, vectors from images."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import delete, exists, select

from hydra_rag.errors import FileError
from hydra_rag.geometry import Box
from hydra_rag.store import changes
from hydra_rag.store.durable import copy_hashed, file_sha256
from hydra_rag.store.models import (
    BlobRow,
    CollectionRow,
    DocumentRow,
    PageRow,
    PageVectorsRow,
    PageWordsRow,
    SegmentRow,
)
from hydra_rag.store.store import Store
from hydra_rag.values import Word
from hydra_rag_indexing.checks import Problem
from hydra_rag_indexing.files.page import PageImage, join_words
from hydra_rag_indexing.lease import WriteLease
from hydra_rag_indexing.page_images import SUFFIX, store_page_image
from hydra_rag_indexing.page_reading import file_ocr, set_words
from hydra_rag_indexing.pipeline import Settings
from hydra_rag_indexing.reindex import embed_missing
from hydra_rag_indexing.sweep import sweep, to_trash
from hydra_rag_indexing.text import index_page_text, remove_page_text

if TYPE_CHECKING:
    from hydra_rag_indexing.collection import Collection

__all__ = ["repair_store"]

log = logging.getLogger(__name__)


def repair_store(collection: Collection, problems: Iterable[Problem]) -> None:
    """Work through ``problems`` in the order in which one mends the next; what can't be mended stays."""
    store = collection.store
    by_code: dict[str, list[Problem]] = {}
    for problem in problems:
        by_code.setdefault(problem.code, []).append(problem)

    def subjects(*codes: str) -> list[str]:
        return [problem.subject[1] for code in codes for problem in by_code.get(code, ())]

    with WriteLease.acquire(store) as lease:
        for key in subjects("original_missing", "original_corrupt"):
            _mend_original(store, lease, *_split(key))
        damaged = {_split(key) for key in subjects("image_missing", "image_corrupt")}
        _mend_images(store, lease, damaged)
        _drop_segments(store, lease, subjects("segment_missing", "segment_truncated", "segment_corrupt"))
        _drop_rows(store, lease, subjects("rows"))
        _mend_text(store, lease, [int(key) for key in subjects("text")])
        _embed(collection, lease)
        sweep(store, lease)


def _split(key: str) -> tuple[str, str]:
    tenant, _, sha = key.rpartition("/")
    return tenant, sha


def _mend_original(store: Store, lease: WriteLease, tenant: str, sha: str) -> None:
    """Copy the original from where it once came from, if the same bytes are still there."""
    with store.session() as db:
        blob = db.get(BlobRow, (tenant, sha))
        query = select(DocumentRow.path).where(DocumentRow.tenant == tenant, DocumentRow.sha256 == sha)
        sources = list(db.scalars(query))
    if blob is None:
        return
    target = store.blob_path(tenant, sha, blob.suffix)
    for source in sources:
        with suppress(OSError):
            if file_sha256(Path(source)) == sha:
                to_trash(store, str(target.relative_to(store.directory)))
                copy_hashed(Path(source), lease.tmp, lambda _, target=target: target)  # type: ignore[misc]
                return
    log.warning("the original %s is lost: its source is gone or has changed", sha)


def _mend_images(store: Store, lease: WriteLease, damaged: set[tuple[str, str]]) -> None:
    """Draw damaged page images anew from their originals."""
    from hydra_rag_indexing.files import load_pages

    wanted: dict[tuple[str, str], set[int]] = {}
    with store.session() as db:
        for tenant, sha in sorted(damaged):
            query = select(PageRow).where(PageRow.tenant == tenant, PageRow.image_sha256 == sha)
            for page in db.scalars(query):
                path = store.page_image_path(tenant, sha, page.image_suffix)
                if path.exists():
                    to_trash(store, str(path.relative_to(store.directory)))
                wanted.setdefault((tenant, page.document_id), set()).add(page.page_number)
        documents = {
            (tenant, document): (row, db.get(BlobRow, (tenant, row.sha256)))
            for tenant, document in wanted
            if (row := db.get(DocumentRow, document)) is not None
        }
    for (tenant, document_id), (document, blob) in documents.items():
        if blob is None:
            continue
        numbers = wanted[tenant, document_id]
        try:
            path = store.blob_path(tenant, blob.sha256, blob.suffix)
            ocr = file_ocr(document.options.get("ocr", "auto"))
            for image in load_pages(path, ocr=ocr, on_bad_page=lambda page: None):
                if image.number in numbers:
                    _replace_image(store, lease, tenant, document_id, image)
        except FileError as error:
            log.warning("pages of %s can't be drawn anew: %s", document.name, error)


def _replace_image(store: Store, lease: WriteLease, tenant: str, document_id: str, image: PageImage) -> None:
    """Usually the very same bytes; where not, the page's vectors and words are made anew as well."""
    sha, size = store_page_image(store, tenant, lease.tmp, image.image)
    with store.write() as db:
        lease.fence(db)
        page = db.scalar(
            select(PageRow).where(
                PageRow.tenant == tenant,
                PageRow.document_id == document_id,
                PageRow.page_number == image.number,
            )
        )
        if page is None or (page.image_sha256, page.image_suffix) == (sha, SUFFIX):
            return
        page.image_sha256, page.image_suffix, page.image_bytes = sha, SUFFIX, size
        page.width, page.height = image.image.size
        set_words(db, tenant, page.page_key, image.words, image.text_source)
        segments = select(PageVectorsRow.segment_id).where(PageVectorsRow.page_key == page.page_key)
        used = list(db.scalars(segments))
        db.execute(delete(PageVectorsRow).where(PageVectorsRow.page_key == page.page_key))
        changes.drop_unused_segments(db, store, tenant, used)


def _drop_segments(store: Store, lease: WriteLease, segment_ids: list[str]) -> None:
    """Forget damaged segments; their pages then count as without vectors."""
    for segment_id in segment_ids:
        with store.write() as db:
            lease.fence(db)
            db.execute(delete(PageVectorsRow).where(PageVectorsRow.segment_id == segment_id))
            db.execute(delete(SegmentRow).where(SegmentRow.id == segment_id))
        to_trash(store, str(store.segment_path(segment_id).relative_to(store.directory)))


def _drop_rows(store: Store, lease: WriteLease, keys: list[str]) -> None:
    for key in keys:
        page_key, _, fingerprint = key.partition("/")
        with store.write() as db:
            lease.fence(db)
            row = db.get(PageVectorsRow, (int(page_key), fingerprint))
            if row is not None:
                db.delete(row)
                db.flush()
                changes.drop_unused_segments(db, store, row.tenant, [row.segment_id])


def _mend_text(store: Store, lease: WriteLease, page_keys: list[int]) -> None:
    for page_key in page_keys:
        with store.write() as db:
            lease.fence(db)
            words = db.get(PageWordsRow, page_key)
            if words is not None:
                listed = [Word(str(word), Box(*box)) for word, *box in words.words]
                index_page_text(db, page_key, words.tenant, join_words(listed))
            elif db.get(PageRow, page_key) is None:
                remove_page_text(db, [page_key])


def _embed(collection: Collection, lease: WriteLease) -> None:
    """Vectors for pages that have none, in every collection of this model."""
    store = collection.store
    has = exists().where(
        PageVectorsRow.page_key == PageRow.page_key, PageVectorsRow.fingerprint == CollectionRow.fingerprint
    )
    of_collection = (PageRow.tenant == CollectionRow.tenant, PageRow.collection == CollectionRow.name)
    with store.session() as db:
        # Loading the model is the expensive part: only when a page really lacks vectors.
        rows = list(db.scalars(select(CollectionRow).where(exists().where(*of_collection, ~has))))
    if not rows:
        return
    embedder = collection.embedder()
    for row in rows:
        if row.fingerprint != embedder.fingerprint:
            log.warning("collection %s belongs to another model: its pages are not embedded", row.name)
            continue
        embed_missing(
            store,
            lease,
            row.tenant,
            row.name,
            embedder,
            collection.settings or Settings(),
            visible=True,
        )
