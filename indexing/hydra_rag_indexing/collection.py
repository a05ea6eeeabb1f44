"""A collection of documents: what agents, servers and the command line work with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra_rag.errors import HydraError, NotFoundError, UsageError
from hydra_rag.store import changes, documents, meta
from hydra_rag.store.records import CollectionInfo
from hydra_rag.store.store import Store
from hydra_rag.values import MultiVector, QueryItem
from hydra_rag_indexing import jobs
from hydra_rag_indexing.building import checked
from hydra_rag_indexing.events import IngestEvent, IngestResult
from hydra_rag_indexing.ingest import IngestRun
from hydra_rag_indexing.lease import WriteLease
from hydra_rag_indexing.names import Names
from hydra_rag_indexing.pipeline import Settings
from hydra_rag_indexing.pooling import Pooling
from hydra_rag_indexing.snapshots import Snapshots
from hydra_rag_indexing.stored_pages import StoredPages

if TYPE_CHECKING:
    from hydra_rag.values import Embedder
    from hydra_rag_indexing.integrity import DoctorReport
    from hydra_rag_indexing.search import Filters, Hit, Mode
    from hydra_rag_indexing.snapshot import VectorIndex

__all__ = ["Collection"]


class Collection(StoredPages):
    """One collection of one tenant in a store. Safe to share between threads.

    ``embedder`` is called when vectors are first needed (ingesting new pages, visual search), never for
    listing, text search or unchanged files. ``fingerprint``: the model's, where it is known without
    loading it; then work with another model's vectors is refused before anything is loaded.
    ``model``: its name, kept for messages. ``pooling``: fewer vectors a page, see
    :mod:`hydra_rag_indexing.pooling` (``None``: as the stored pages are, none for the first).
    ``first_stage``: what finds candidates in large collections: ``lists``, ``product`` or ``none``, see
    :mod:`hydra_rag_indexing.building`.
    """

    def __init__(
        self,
        store: Store,
        embedder: Callable[[], Embedder],
        *,
        tenant: str = "default",
        collection: str = "default",
        fingerprint: str | None = None,
        model: str | None = None,
        settings: Settings | None = None,
        pooling: str | None = None,
        first_stage: str = "lists",
    ) -> None:
        if not tenant or not collection:
            raise UsageError("Tenant and collection need a name.")
        self._pooling = None if pooling is None else Pooling.parse(pooling)
        super().__init__(store, tenant, collection)
        self.model, self.settings = model, settings
        self._make_embedder = embedder
        self._embedder: Embedder | None = None
        self._fingerprint = fingerprint
        self._lock = threading.Lock()
        self._snapshots = Snapshots(store, tenant, collection, checked(first_stage))
        self._names = Names(tenant, collection)

    # -- model ---------------------------------------------------------------------------------

    def embedder(self) -> Embedder:
        """The model, loaded on the first call."""
        with self._lock:
            if self._embedder is None:
                pooling = self._pooling or Pooling.of(self.info().fingerprint)
                self._embedder = pooling.applied(self._make_embedder())
                self._fingerprint = self._embedder.fingerprint
            return self._embedder

    @property
    def fingerprint(self) -> str | None:
        """Of this object's model and pooling; ``None`` while it is not known."""
        return self._fingerprint

    def info(self) -> CollectionInfo:
        """What is stored: its fingerprint and dim are ``None`` while it is empty."""
        with self.store.session() as db:
            found = documents.get_collection(db, self.tenant, self.name)
        return found or CollectionInfo(self.tenant, self.name, None, None, None)

    # -- ingest --------------------------------------------------------------------------------

    def ingest(
        self,
        paths: Path | str | Sequence[Path | str],
        *,
        progress: Callable[[IngestEvent], None] | None = None,
        ocr: str = "auto",
        force: bool = False,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
    ) -> list[IngestResult]:
        """Ingest files, folders and globs; one result per file, whatever happens to the others.

        When another process writes, the files are queued for it and this call follows them. ``force``
        reads unchanged files anew. Raises only for the whole store or model
        (:class:`StoreError`, :class:`ModelError`, :class:`FingerprintError`).
        """
        run = self._run({"ocr": ocr, "force": force}, progress)
        try:
            return run.run([paths] if isinstance(paths, str | Path) else paths, include, exclude)
        finally:
            self.maintain()

    def enqueue(self, paths: Sequence[Path | str], *, ocr: str = "auto", force: bool = False) -> list[str]:
        """Queue files without waiting; returns job ids. Whoever next holds the lease does them."""
        return jobs.enqueue(
            self.store,
            self.tenant,
            self.name,
            [str(Path(path).absolute()) for path in paths],
            options={"ocr": ocr, "force": force},
            fingerprint=self._fingerprint,
            owner=None,
        )

    def jobs(self, job_ids: Sequence[str]) -> list[jobs.Job]:
        return jobs.read(self.store, self.tenant, job_ids)

    def drain(self, *, wait_s: float = 0.0) -> int:
        """Work through the queue; returns the number of jobs done, 0 when another process does it."""
        with self.store.session() as db:
            if not jobs.waiting(db):
                return 0
        try:
            lease = WriteLease.acquire(self.store, wait_s=wait_s)
        except HydraError as error:
            if error.code != "store_busy":
                raise
            return 0
        with lease:
            jobs.recover(self.store, lease)
            done = self._run({}, None).drain(lease)
        self.maintain()
        return done

    def _run(self, options: dict[str, Any], progress: Callable[[IngestEvent], None] | None) -> IngestRun:
        if self._fingerprint is not None:
            self._snapshots.check(self._fingerprint)
        return IngestRun(
            self.store,
            self.embedder,
            tenant=self.tenant,
            collection=self.name,
            fingerprint=lambda: self._fingerprint,
            model=self.model,
            options=options,
            settings=self.settings,
            progress=progress,
        )

    # -- documents -----------------------------------------------------------------------------

    def remove(self, document_ids: Sequence[str]) -> None:
        """Remove documents, all or (when one is unknown) none; effective at once in every process.

        Needs no lease. Bytes leave the disk with :meth:`compact`.
        """
        ids = [document_ids] if isinstance(document_ids, str) else list(document_ids)
        for document_id in ids:
            self.document(document_id)
        with self.store.write() as db:
            changes.remove_documents(db, self.store, self.tenant, ids)
            meta.bump(db)

    def page_vectors(self, document_id: str, page: int) -> MultiVector:
        """The stored vectors (float32) and their boxes. Raises :class:`NotFoundError`."""
        info = self.page(document_id, page)
        index = self.snapshot()
        if index is None or not index.has(info.page_key):
            raise NotFoundError(f"Page {page} of document {document_id} has no vectors yet.")
        vectors, boxes = index.vectors(info.page_key)
        return MultiVector(vectors, boxes)

    # -- search --------------------------------------------------------------------------------

    def snapshot(self) -> VectorIndex | None:
        """The current vector index; ``None`` while there are no vectors."""
        return self._snapshots.current(self._fingerprint)

    def search(
        self,
        query: QueryItem,
        k: int = 10,
        *,
        mode: Mode = "hybrid",
        documents: Sequence[str] | None = None,
        filters: Filters | None = None,
        query_vectors: MultiVector | None = None,
        regions: int = 3,
    ) -> list[Hit]:
        """The ``k`` best pages for text, an image, or ``{"text", "image"}``.
        ``query_vectors``: of the query, where the caller has them. An image without text is searched by
        its looks alone, whatever the mode.
        """
        from hydra_rag_indexing.search import Filters, Searcher, text_of

        text = text_of(query)
        if text is None and mode == "hybrid":
            mode = "visual"
        filters = filters or (None if documents is None else Filters(documents=documents))
        if mode != "text" and query_vectors is None and self.info().fingerprint is not None:
            query_vectors = self.embedder().embed_queries([query])[0]
        elif mode != "text" and query_vectors is None:
            return []
        searcher = Searcher(self.store, self.tenant, self.name, self.snapshot, self._names)
        return searcher.search(
            text=text, vectors=query_vectors, k=k, mode=mode, filters=filters, regions=regions
        )

    def named(self, words: str) -> float:
        """How surely ``words`` name some of the documents, not all: 0 to 1."""
        with self.store.session() as db:
            return max((document.weight for document in self._names.named(db, words)), default=0.0)

    # -- care ----------------------------------------------------------------------------------

    def doctor(self, repair: bool = False) -> DoctorReport:
        """Verify the whole store; with ``repair`` mend what can be mended from stored images."""
        from hydra_rag_indexing.integrity import run_doctor

        return run_doctor(self, repair=repair)

    def compact(self, *, purge: bool = False) -> int:
        """Rewrite segments with many dead rows or few pages, sweep files that nothing names.

        ``purge``: also those with any dead row, and delete the trash: after this, removed documents are
        gone from the disk. Returns the number of segments rewritten.
        """
        from hydra_rag_indexing.compaction import compact

        count = compact(self.store, purge=purge)
        self.maintain()
        return count

    def reindex(self, progress: Callable[[int, int], None] | None = None) -> int:
        """Embed every page anew with this object's model and switch to it in one commit; resumable.
        Returns the number of pages embedded. ``progress(done, total)``.
        """
        from hydra_rag_indexing.reindex import reindex

        count = reindex(self, progress)
        self.maintain()
        return count

    def maintain(self) -> bool:
        """Build what makes searches of large collections fast, where it is missing or outgrown."""
        return self._snapshots.maintain()

    def rebuild_search(self) -> None:
        """Train the first stage anew whatever there is; one that finds too little is not used."""
        self._snapshots.optimize(force=True)

    def forget_snapshot(self) -> None:  # vectors are opened anew at the next search
        self._snapshots.forget()
