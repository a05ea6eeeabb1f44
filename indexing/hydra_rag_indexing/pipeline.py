"""Ingest one file at a time: original, pages, vectors, rows; each step durable before the next.

Order (a crash between any two leaves garbage files or a resumable document, never a row without its file):

1. copy the original into ``blobs/`` while hashing it;
2. SQL: blob and document ``working``;
3. read pages (in a thread), store their images, embed them, write a segment;
4. SQL: segment, pages, vector rows, text, in one transaction with the epoch check; the last one turns the
   document ``ready``, removes what it replaces and counts the generation up.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from hydra_rag.errors import (
    FileError,
    HydraError,
    MissingExtraError,
    NotFoundError,
    OutOfMemoryError,
    StoreError,
)
from hydra_rag.store import changes, documents
from hydra_rag.store.durable import copy_hashed, file_sha256
from hydra_rag.store.models import DocumentRow, PageRow, PageVectorsRow
from hydra_rag.store.records import BlobInfo, NewPage
from hydra_rag.store.store import Store
from hydra_rag_indexing.events import IngestError, IngestResult
from hydra_rag_indexing.lease import WriteLease
from hydra_rag_indexing.page_images import SUFFIX, store_page_image
from hydra_rag_indexing.prefetch import Prefetch
from hydra_rag_indexing.vector_rows import commit_pages, to_segment

if TYPE_CHECKING:
    from PIL import Image

    from hydra_rag.values import Embedder, MultiVector
    from hydra_rag_indexing.files import PageImage

__all__ = ["Ingestor", "Settings"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """``embed_pages``: pages handed to the model at once. ``segment_pages``, ``segment_seconds``: a commit
    is made when either is reached. ``attempts``: tries when the disk refuses."""

    embed_pages: int = 8
    segment_pages: int = 64
    segment_seconds: float = 30.0
    attempts: int = 3
    retry_seconds: float = 0.5
    min_free_bytes: int = 200 << 20
    dtype: str = "float16"


@dataclass(frozen=True, slots=True)
class _Page:
    row: NewPage
    image: Image.Image


@dataclass(slots=True)
class _Target:
    """The working document of one file."""

    id: str
    blob: BlobInfo
    done: set[int]


class Ingestor:
    """Ingests files into one collection under a held lease. Not for use by several threads."""

    def __init__(
        self,
        store: Store,
        lease: WriteLease,
        tenant: str,
        collection: str,
        embedder: Callable[[], Embedder],
        *,
        options: dict[str, Any],
        model: str | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.store, self.lease = store, lease
        self.tenant, self.collection = tenant, collection
        self.options, self.model = options, model
        self.settings = settings or Settings()
        self.model_seconds = 0.0
        self._embedder = embedder

    def run(self, source: str, on_pages: Callable[[int, int | None], None]) -> IngestResult:
        """Ingest ``source``. Errors of this file become its result; errors of the store or model raise."""
        for attempt in range(1, self.settings.attempts + 1):
            try:
                return self._ingest(Path(os.path.abspath(source)), source, on_pages)
            except FileError as error:
                self.abandon(source)
                return _failed(source, error.code, error.message)
            except (OutOfMemoryError, MissingExtraError) as error:
                self.abandon(source)
                return _failed(source, error.code, error.message)
            except HydraError as error:
                if error.code != "storage":
                    raise
                failure: Exception = error
            except OSError as error:
                failure = error
            except (ValueError, TypeError, ArithmeticError, LookupError, RuntimeError, MemoryError) as error:
                log.exception("ingesting %s failed", source)
                self.abandon(source)
                return _failed(source, "internal", f"Unexpected {type(error).__name__}; see the log.")
            # The disk refused. Every file touched so far was removed or is garbage; nothing is reused.
            if attempt < self.settings.attempts:
                log.warning("storing %s failed (%s), trying again", source, failure)
                time.sleep(self.settings.retry_seconds * 2 ** (attempt - 1))
        return _failed(source, "storage", f"Its data could not be stored ({failure}): free some space.")

    def _ingest(self, path: Path, source: str, on_pages: Callable[[int, int | None], None]) -> IngestResult:
        from hydra_rag_indexing.files.kinds import identify
        from hydra_rag_indexing.files.limits import Limits

        # First of all: a pipe or a device would never end while it is hashed.
        media_type = identify(path, Limits()).media_type
        sha = _hash(path)
        if not self.options.get("force"):
            known = self._already_there(path, source, sha)
            if known is not None:
                return known
        self._check_space(path)
        target = self._start(path, media_type)
        if target.blob.sha256 != sha and not self.options.get("force"):
            # The file changed between hashing and copying; what was copied decides.
            known = self._already_there(path, source, target.blob.sha256)
            if known is not None:
                return known
        total, replaced = self._pages(path, target, on_pages)
        return IngestResult(source, target.id, total, "replaced" if replaced else "indexed")

    def _already_there(self, path: Path, source: str, sha: str) -> IngestResult | None:
        """The result when this content is stored: a no-op, or a rename that only changes the path."""
        ready = select(DocumentRow).where(
            DocumentRow.tenant == self.tenant,
            DocumentRow.collection == self.collection,
            DocumentRow.state == "ready",
        )
        with self.store.session() as db:
            same = db.scalars(ready.where(DocumentRow.sha256 == sha).order_by(DocumentRow.id)).all()
            here = db.scalar(ready.where(DocumentRow.path == str(path), DocumentRow.sha256 != sha))
        if not same:
            return None
        kept = next((row for row in same if row.path == str(path)), same[0])
        moved = kept.path != str(path) and not os.path.exists(kept.path)
        if moved or here is not None:
            with self.store.write() as db:
                self.lease.fence(db)
                row = db.get(DocumentRow, kept.id)
                if row is None:
                    return None
                if here is not None:
                    changes.remove_documents(db, self.store, self.tenant, [here.id])
                if moved:
                    row.path, row.name = str(path), self._name(path)
        status = "unchanged" if here is None else "replaced"
        return IngestResult(source, kept.id, kept.page_count, status)  # type: ignore[arg-type]

    def _start(self, path: Path, media_type: str) -> _Target:
        """Store the original and find or make the working document."""
        suffix = _safe_suffix(path)
        try:
            sha, size, _ = copy_hashed(
                path,
                self.lease.tmp,
                lambda sha: self.store.blob_path(self.tenant, sha, self._suffix(sha, suffix)),
            )
        except FileNotFoundError as error:
            raise FileError(f"{path.name} disappeared while it was read.", code="not_found") from error
        blob = documents.blob_of(self.store, self.tenant, sha) or BlobInfo(sha, size, suffix, media_type)
        embedder = self._embedder()
        with self.store.write() as db:
            self.lease.fence(db, visible=False)
            changes.claim_collection(
                db,
                self.tenant,
                self.collection,
                fingerprint=embedder.fingerprint,
                dim=embedder.dim,
                model=self.model,
            )
            changes.add_blob(db, self.tenant, blob)
            row = db.scalar(self._working(path).where(DocumentRow.sha256 == sha))
            if row is not None:
                return _Target(row.id, blob, self._committed(db, row.id, embedder.fingerprint))
            document_id = changes.start_document(
                db,
                self.tenant,
                self.collection,
                path=str(path),
                name=self._name(path),
                blob=blob,
                options=self.options,
                document_id=self.options.get("document_id"),
            )
        return _Target(document_id, blob, set())

    def _pages(
        self, path: Path, target: _Target, on_pages: Callable[[int, int | None], None]
    ) -> tuple[int, bool]:
        """Read, embed and commit; returns (number of pages, whether an older version was replaced)."""
        original = self.store.blob_path(self.tenant, target.blob.sha256, target.blob.suffix)
        settings, done = self.settings, len(target.done)
        pending: list[tuple[_Page, MultiVector]] = []
        batch: list[_Page] = []
        began = time.monotonic()
        on_pages(done, None)
        with Prefetch(
            lambda: self._read(original, self._name(path), target.done), 2 * settings.embed_pages
        ) as pages:
            for page in pages:
                if len(batch) == settings.embed_pages:
                    pending += self._embed(batch)
                    batch = []
                    on_pages(done + len(pending), None)
                    late = time.monotonic() - began >= settings.segment_seconds
                    if late or len(pending) >= settings.segment_pages:
                        self._commit(target, pending, last=False)
                        done += len(pending)
                        pending, began = [], time.monotonic()
                batch.append(page)
        if batch:
            pending += self._embed(batch)
        total = done + len(pending)
        if not total:
            raise FileError(f"{self._name(path)} has no pages.", code="empty")
        replaced = self._commit(target, pending, last=True)
        on_pages(total, total)
        return total, replaced

    def _read(self, original: Path, name: str, skip: set[int]) -> Iterator[_Page]:
        """Pages with their images stored; runs in the reader's thread."""
        from hydra_rag_indexing.files import load_pages

        try:
            pages = load_pages(original, ocr=self.options.get("ocr", "auto"))
            with closing(cast("Generator[PageImage]", pages)):
                for page in pages:
                    if page.number not in skip:
                        yield self._stored(page)
        except FileError as error:
            # The reader knows the stored copy, the user the file.
            raise FileError(error.message.replace(original.name, name), code=error.code) from error

    def _stored(self, page: PageImage) -> _Page:
        """Make the page's image durable."""
        sha, size = store_page_image(self.store, self.tenant, self.lease.tmp, page.image)
        row = NewPage(
            number=page.number,
            width=page.image.width,
            height=page.image.height,
            dpi=page.dpi,
            label=page.label,
            text_source=page.text_source if page.words else None,
            image_sha256=sha,
            image_suffix=SUFFIX,
            image_bytes=size,
            words=tuple(page.words),
        )
        return _Page(row, page.image)

    def _embed(self, batch: Sequence[_Page]) -> list[tuple[_Page, MultiVector]]:
        embedder = self._embedder()
        began = time.monotonic()
        vectors = embedder.embed_pages([page.image for page in batch])
        self.model_seconds += time.monotonic() - began
        return list(zip(batch, vectors, strict=True))

    def _commit(self, target: _Target, pending: Sequence[tuple[_Page, MultiVector]], *, last: bool) -> bool:
        segment = None
        if pending:
            vectors = [vector for _, vector in pending]
            segment = to_segment(
                self.store, self.lease.tmp, self._embedder().fingerprint, vectors, self.settings.dtype
            )
        try:
            with self.store.write() as db:
                self.lease.fence(db, visible=last)
                if db.get(DocumentRow, target.id) is None:
                    raise NotFoundError("The document was removed while it was being ingested.")
                if segment is not None:
                    rows = [page.row for page, _ in pending]
                    commit_pages(db, self.tenant, self.collection, target.id, rows, segment)
                if not last:
                    return False
                count = len(self._committed(db, target.id, self._embedder().fingerprint))
                return bool(changes.finish_document(db, self.store, self.tenant, target.id, count))
        except NotFoundError as error:
            raise FileError(error.message, code="removed") from error

    def _working(self, path: Path) -> Any:
        return select(DocumentRow).where(
            DocumentRow.tenant == self.tenant,
            DocumentRow.collection == self.collection,
            DocumentRow.path == str(path),
            DocumentRow.state == "working",
        )

    def _committed(self, db: Session, document_id: str, fingerprint: str) -> set[int]:
        query = (
            select(PageRow.page_number)
            .join(PageVectorsRow, PageVectorsRow.page_key == PageRow.page_key)
            .where(
                PageRow.tenant == self.tenant,
                PageRow.document_id == document_id,
                PageVectorsRow.fingerprint == fingerprint,
            )
        )
        return set(db.scalars(query))

    def _name(self, path: Path) -> str:
        """What people call the file: option ``name`` (an upload's label), else its own name."""
        return str(self.options.get("name") or path.name)

    def _suffix(self, sha: str, suffix: str) -> str:
        """A blob keeps the suffix it was first stored with."""
        known = documents.blob_of(self.store, self.tenant, sha)
        return suffix if known is None else known.suffix

    def abandon(self, source: str) -> None:
        """Remove what a file that can't be read left behind; the version before it stays."""
        try:
            with self.store.write() as db:
                rows = db.scalars(self._working(Path(os.path.abspath(source)))).all()
                if rows:
                    self.lease.fence(db, visible=False)
                    changes.remove_documents(db, self.store, self.tenant, [row.id for row in rows])
        except StoreError as error:
            log.warning("could not clean up after %s: %s", source, error)

    def _check_space(self, path: Path) -> None:
        usage = shutil.disk_usage(self.store.directory)
        need = min(self.settings.min_free_bytes, usage.total // 20) + path.stat().st_size
        if usage.free < need:
            raise StoreError(
                f"only {usage.free >> 20} MiB are free on the store's disk, {need >> 20} are needed",
                code="storage",
            )


def _hash(path: Path) -> str:
    try:
        return file_sha256(path)
    except FileNotFoundError as error:
        raise FileError(f"There is no file {path}.", code="not_found") from error
    except OSError as error:
        raise FileError(f"{path.name} can't be read ({error.strerror}).", code="unreadable") from error


def _safe_suffix(path: Path) -> str:
    """The file's ending when it is short and plain; readers choose by it."""
    suffix = path.suffix.lower()
    plain = suffix[1:].isascii() and suffix[1:].isalnum() and len(suffix) <= 9
    return suffix if plain else ""


def _failed(source: str, code: str, message: str) -> IngestResult:
    return IngestResult(source, None, 0, "failed", IngestError(code, message))
