"""The current vector index of a collection, renewed when any process has changed the store."""

from __future__ import annotations

import hashlib
import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from hydra_rag.errors import CorruptionError, FingerprintError, HydraError
from hydra_rag.store import documents
from hydra_rag.store.models import MetaRow
from hydra_rag.store.store import Store

if TYPE_CHECKING:
    from hydra_rag_indexing.building import Choice
    from hydra_rag_indexing.snapshot import PageList, VectorIndex

__all__ = ["Snapshots"]

log = logging.getLogger(__name__)

_RETRIES = 5


class Snapshots:
    """Gives :class:`VectorIndex` snapshots of one collection; safe to share between threads.

    A snapshot is immutable: whoever holds one keeps it while a newer one is published.
    """

    def __init__(self, store: Store, tenant: str, collection: str, first_stage: Choice = "lists") -> None:
        self._store, self._tenant, self._collection = store, tenant, collection
        self._first_stage: Choice = first_stage
        self._lock = threading.Lock()
        self._building = threading.Lock()
        self._generation = -1
        self._fingerprint: str | None = None
        self._pages: PageList | None = None
        self._index: VectorIndex | None = None
        self._cache_time = 0

    def current(self, fingerprint: str | None = None) -> VectorIndex | None:
        """The newest snapshot; ``None`` while the collection has no vectors.

        ``fingerprint``: the caller's model. Raises :class:`FingerprintError` when the stored vectors are
        another model's, :class:`CorruptionError` when a segment is damaged.
        """
        with self._lock:
            for attempt in range(_RETRIES + 1):
                generation, found, dim, pages = self._read()
                self._compare(found, fingerprint)
                try:
                    self._advance(generation, found, dim, pages)
                except CorruptionError:
                    # A compaction may have moved the file away since the rows were read: look again.
                    if attempt == _RETRIES or self._store.generation() == generation:
                        raise
                    continue
                return self._index
        return None

    def optimize(self, *, force: bool = False) -> None:
        """Build or extend the first stage of the current snapshot and cache it; searches go on meanwhile."""
        index = self.current()
        if index is not None:
            with self._building:
                self._build(index, force=force)

    def maintain(self) -> bool:
        """Build the first stage where searches would gain from it; returns whether one was built.

        For the end of whatever changed vectors, never for the path of a query. What goes wrong (no FAISS, a
        full disk, a damaged segment) is logged: searches stay right without, only slower.
        """
        try:
            index = self.current()
            if index is None or not index.needs_optimize:
                return False
            if not self._building.acquire(blocking=False):
                return False  # another thread is at it
            try:
                self._build(index)
            finally:
                self._building.release()
        except (HydraError, OSError, MemoryError, RuntimeError) as error:
            log.warning("The search of %r was not made faster: %s", self._collection, error)
            return False
        return True

    def _build(self, index: VectorIndex, *, force: bool = False) -> None:
        built = index.optimize(force=force)
        with self._lock:
            if self._index is index:
                self._index = built

    def check(self, fingerprint: str) -> None:
        """Raise :class:`FingerprintError` when the stored vectors are another model's."""
        with self._store.session() as db:
            known = documents.get_collection(db, self._tenant, self._collection)
        self._compare(None if known is None else known.fingerprint, fingerprint)

    def _compare(self, found: str | None, fingerprint: str | None) -> None:
        if fingerprint is not None and found is not None and found != fingerprint:
            (model, _, stored), (other, _, wanted) = found.partition("+"), fingerprint.partition("+")
            if model == other:
                raise FingerprintError(
                    f"The pages of {self._collection!r} are stored with pooling {stored or 'none'!r}, not "
                    f"{wanted or 'none'!r}: leave the setting out, or run `hydra-rag reindex` with it."
                )
            raise FingerprintError(
                f"The collection {self._collection!r} was built by another model or adapter: "
                "use that one, or run `hydra-rag reindex`."
            )

    def forget(self) -> None:
        """Build from scratch next time (vectors changed under the same page keys)."""
        with self._lock:
            self._generation, self._index, self._pages = -1, None, None

    def _read(self) -> tuple[int, str | None, int | None, PageList | None]:
        """Generation, fingerprint, dim and pages of one moment; pages are ``None`` when nothing changed."""
        with self._store.session() as db:
            generation = db.scalars(select(MetaRow.generation).where(MetaRow.id == 1)).one()
            if generation == self._generation:
                return generation, self._fingerprint, None, None
            from hydra_rag_indexing.page_list import PageList

            known = documents.get_collection(db, self._tenant, self._collection)
            if known is None or known.fingerprint is None:
                return generation, None, None, PageList.from_rows([])
            rows = documents.vector_rows(db, self._tenant, self._collection, known.fingerprint)
        return generation, known.fingerprint, known.dim, PageList.from_rows(rows)

    def _advance(
        self, generation: int, fingerprint: str | None, dim: int | None, pages: PageList | None
    ) -> None:
        if pages is None:
            self._reread()
            return
        if not len(pages) or dim is None:
            self._index = None
        elif self._index is not None and fingerprint == self._fingerprint:
            if self._pages is None or not pages.same(self._pages):
                self._index = self._index.refresh(pages)
        else:
            from hydra_rag_indexing.snapshot import VectorIndex

            # The first stage's cache belongs to one collection and one model.
            cache = self._cache(fingerprint)
            self._index = VectorIndex.build(self._store.segments_dir, pages, dim, cache, self._first_stage)
        self._generation, self._fingerprint, self._pages = generation, fingerprint, pages

    def _cache(self, fingerprint: str | None) -> Path:
        scope = "\0".join((self._tenant, self._collection, fingerprint or ""))
        return self._store.cache_dir / "search" / hashlib.sha256(scope.encode()).hexdigest()[:32]

    def _reread(self) -> None:
        """Take the first stage that somebody else has built since (the folder's time tells)."""
        if self._index is None:
            return
        try:
            changed = self._cache(self._fingerprint).stat().st_mtime_ns
        except OSError:
            return
        if changed != self._cache_time:
            self._cache_time = changed
            self._index = self._index.reread()
