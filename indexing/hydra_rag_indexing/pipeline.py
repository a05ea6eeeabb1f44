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

from hydra_rag.errors import (
    FileError,
    HydraError,
    MissingExtraError,
    NotFoundError,
    OutOfMemoryError,
    StoreError,
)
from hydra_rag.store import changes
from hydra_rag.store.durable import file_sha256
from hydra_rag.store.models import DocumentRow
from hydra_rag.store.records import FailedPage, NewPage
from hydra_rag.store.store import Store
from hydra_rag_indexing.admission import Admission, Target
from hydra_rag_indexing.events import IngestError, IngestResult
from hydra_rag_indexing.lease import WriteLease
from hydra_rag_indexing.page_images import SUFFIX, store_page_image
from hydra_rag_indexing.page_reading import TextMode, file_ocr, with_own_reading
from hydra_rag_indexing.prefetch import Prefetch
from hydra_rag_indexing.vector_rows import commit_pages, to_segment

if TYPE_CHECKING:
    from PIL import Image

    from hydra_rag.values import Embedder, MultiVector
    from hydra_rag_indexing.files import BadPage, PageImage

__all__ = ["Ingestor", "Settings"]

log = logging.getLogger(__name__)

_WRITERS = 2  # threads that compress and store page images


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
        self._text_mode: TextMode = str(options.get("ocr", "auto"))
        self._embedder = embedder
        self._admission = Admission(store, lease, tenant, collection, options=options, model=model)

    def abandon(self, source: str) -> None:
        """Remove what a file that can't be read left behind; the version before it stays."""
        self._admission.abandon(source)

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
            known = self._admission.known(path, source, sha)
            if known is not None:
                return known
        self._check_space(path)
        target = self._admission.start(path, media_type, self._embedder())
        if target.blob.sha256 != sha and not self.options.get("force"):
            # The file changed between hashing and copying; what was copied decides.
            known = self._admission.known(path, source, target.blob.sha256)
            if known is not None:
                self.abandon(source)
                return known
        failed: list[FailedPage] = []
        total, replaced = self._pages(path, target, on_pages, failed)
        return IngestResult.stored(source, target.id, total, "replaced" if replaced else "indexed", failed)

    def _pages(
        self,
        path: Path,
        target: Target,
        on_pages: Callable[[int, int | None], None],
        failed: list[FailedPage],
    ) -> tuple[int, bool]:
        """Read, embed and commit; returns (number of pages, whether an older version was replaced).

        ``failed`` receives the pages that can't be read. A run that goes on where another stopped meets
        all of them again, so only the last commit stores them.
        """
        original = self.store.blob_path(self.tenant, target.blob.sha256, target.blob.suffix)
        settings, done = self.settings, len(target.done)
        pending: list[tuple[NewPage, MultiVector]] = []
        batch: list[_Page] = []
        began = time.monotonic()
        on_pages(done, None)
        with Prefetch(
            lambda: self._read(original, self._admission.name(path), target.done, failed),
            2 * settings.embed_pages,
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
            raise FileError(f"{self._admission.name(path)} has no pages.", code="empty")
        replaced = self._commit(target, pending, last=True, failed=failed)
        on_pages(total, total)
        return total, replaced

    def _read(self, original: Path, name: str, skip: set[int], failed: list[FailedPage]) -> Iterator[_Page]:
        """Pages with their images stored; runs in the reader's thread."""
        from hydra_rag_indexing.files import load_pages
        from hydra_rag_indexing.files.in_order import in_order

        def bad(page: BadPage) -> None:
            failed.append(FailedPage(page.number, page.code, page.message.replace(original.name, name)))

        try:
            pages = load_pages(original, ocr=file_ocr(self._text_mode), on_bad_page=bad)
            with closing(cast("Generator[PageImage]", pages)):
                # Compressing and syncing images overlaps with drawing the next ones.
                wanted = (page for page in pages if page.number not in skip)
                with closing(in_order(self._stored, wanted, _WRITERS)) as stored:
                    yield from stored
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

    def _embed(self, batch: Sequence[_Page]) -> list[tuple[NewPage, MultiVector]]:
        embedder = self._embedder()
        began = time.monotonic()
        vectors = embedder.embed_pages([page.image for page in batch])
        rows = with_own_reading(
            embedder, [page.row for page in batch], [p.image for p in batch], self._text_mode
        )
        self.model_seconds += time.monotonic() - began
        return list(zip(rows, vectors, strict=True))

    def _commit(
        self,
        target: Target,
        pending: Sequence[tuple[NewPage, MultiVector]],
        *,
        last: bool,
        failed: Sequence[FailedPage] = (),
    ) -> bool:
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
                    rows = [page for page, _ in pending]
                    commit_pages(db, self.tenant, self.collection, target.id, rows, segment)
                if not last:
                    return False
                count = len(self._admission.committed(db, target.id, self._embedder().fingerprint))
                return bool(changes.finish_document(db, self.store, self.tenant, target.id, count, failed))
        except NotFoundError as error:
            raise FileError(error.message, code="removed") from error

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


def _failed(source: str, code: str, message: str) -> IngestResult:
    return IngestResult(source, None, 0, "failed", IngestError(code, message))
