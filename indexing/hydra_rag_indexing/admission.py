"""Which document a file becomes: one that is there already, one half done, or a new one."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from hydra_rag.errors import FileError, StoreError
from hydra_rag.store import changes, documents
from hydra_rag.store.durable import copy_hashed
from hydra_rag.store.models import DocumentRow, PageRow, PageVectorsRow
from hydra_rag.store.records import BlobInfo
from hydra_rag.store.store import Store
from hydra_rag_indexing.events import IngestResult
from hydra_rag_indexing.lease import WriteLease

if TYPE_CHECKING:
    from hydra_rag.values import Embedder

__all__ = ["Admission", "Target"]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Target:
    """The working document of one file; ``done``: page numbers that are committed."""

    id: str
    blob: BlobInfo
    done: set[int]


class Admission:
    """The SQL side of one file's way into a collection, under a held lease."""

    def __init__(
        self,
        store: Store,
        lease: WriteLease,
        tenant: str,
        collection: str,
        *,
        options: dict[str, Any],
        model: str | None,
    ) -> None:
        self.store, self.lease = store, lease
        self.tenant, self.collection = tenant, collection
        self.options, self.model = options, model

    def known(self, path: Path, source: str, sha: str) -> IngestResult | None:
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
                    row.path, row.name = str(path), self.name(path)
        status = "unchanged" if here is None else "replaced"
        failed = documents.failed_pages(kept)
        return IngestResult.stored(source, kept.id, kept.page_count, status, failed)  # type: ignore[arg-type]

    def start(self, path: Path, media_type: str, embedder: Embedder) -> Target:
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
                return Target(row.id, blob, self.committed(db, row.id, embedder.fingerprint))
            document_id = changes.start_document(
                db,
                self.tenant,
                self.collection,
                path=str(path),
                name=self.name(path),
                blob=blob,
                options=self.options,
                document_id=self.options.get("document_id"),
            )
        return Target(document_id, blob, set())

    def _working(self, path: Path) -> Any:
        return select(DocumentRow).where(
            DocumentRow.tenant == self.tenant,
            DocumentRow.collection == self.collection,
            DocumentRow.path == str(path),
            DocumentRow.state == "working",
        )

    def committed(self, db: Session, document_id: str, fingerprint: str) -> set[int]:
        """Numbers of the pages that have vectors of this model."""
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

    def name(self, path: Path) -> str:
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


def _safe_suffix(path: Path) -> str:
    """The file's ending when it is short and plain; readers choose by it."""
    suffix = path.suffix.lower()
    plain = suffix[1:].isascii() and suffix[1:].isalnum() and len(suffix) <= 9
    return suffix if plain else ""
