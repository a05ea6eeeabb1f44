"""The ingest worker: one thread that works through the queue while there is work, and only then holds the
write lease, so that commands beside the server get their turn."""

from __future__ import annotations

import contextvars
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hydra_rag.errors import CancelledError, HydraError

if TYPE_CHECKING:
    from hydra_rag_agents.facade import HydraRAG
    from hydra_rag_indexing.events import IngestResult
    from hydra_rag_indexing.jobs import Job
    from hydra_rag_indexing.lease import WriteLease

__all__ = ["IngestWorker"]

log = logging.getLogger(__name__)

_POLL_S = 2.0
_PROGRESS_S = 0.3
_MAX_ATTEMPTS = 3


class IngestWorker:
    """``on_result(result)`` is called in the worker's thread for every file that ended."""

    def __init__(self, rag: HydraRAG) -> None:
        self._rag = rag
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._current: tuple[str, threading.Event] | None = None
        self._lock = threading.Lock()
        self._cancelled: set[str] = set()
        self.on_result: Callable[[IngestResult], None] = lambda result: None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="hydra-ingest", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There may be work."""
        self._wake.set()

    def stop(self, wait: float) -> None:
        """Put the file under way back into the queue (its finished pages stay) and end the thread, which gets
        ``wait`` seconds for it. Safe to call again."""
        self._stopping = True
        with self._lock:
            if self._current is not None:
                self._current[1].set()
        self._wake.set()
        if self._thread is not None and wait:
            self._thread.join(timeout=wait)

    def cancel(self, job_ids: list[str]) -> None:
        """Stop the file under way when it is one of these. Queued ones are cancelled in SQL."""
        with self._lock:
            if self._current is not None and self._current[0] in job_ids:
                self._cancelled.add(self._current[0])
                self._current[1].set()

    def _loop(self) -> None:
        while not self._stopping:
            try:
                self._drain()
            except Exception:
                log.exception("ingest stopped; it will be tried again")
                time.sleep(_POLL_S)
            self._wake.wait(_POLL_S)
            self._wake.clear()

    def _drain(self) -> None:
        from hydra_rag_indexing import jobs
        from hydra_rag_indexing.lease import WriteLease
        from hydra_rag_indexing.snapshots import Snapshots

        store = self._rag.store
        with store.session() as db:
            if not jobs.waiting(db):
                return
        lease = WriteLease.try_acquire(store)
        if lease is None:
            return
        changed: set[tuple[str, str]] = set()
        with lease:
            jobs.recover(store, lease)
            fingerprint = self._rag.model.fingerprint
            while not self._stopping and (job := jobs.claim(store, lease, fingerprint)) is not None:
                stop = threading.Event()
                with self._lock:
                    self._current = (job.id, stop)
                    if self._stopping:
                        stop.set()
                changed.add((job.tenant, job.collection))
                try:
                    self._do(lease, job, stop)
                finally:
                    with self._lock:
                        self._current = None
                        self._cancelled.discard(job.id)
        for tenant, collection in () if self._stopping else changed:
            # Searches find what this builds in the store's cache.
            Snapshots(store, tenant, collection).maintain()

    def _do(self, lease: WriteLease, job: Job, stop: threading.Event) -> None:
        from hydra_rag_indexing import jobs

        store = self._rag.store
        if job.attempts > _MAX_ATTEMPTS:
            text = "Reading this file stopped the program several times; it was given up."
            self._finish(job, None, ("internal", text))
            return
        try:
            result = contextvars.copy_context().run(self._ingest, lease, job, stop)
        except CancelledError:
            if job.id in self._cancelled:
                self._finish(job, None, ("cancelled", "The ingest was cancelled."), outcome="cancelled")
            else:
                jobs.requeue(store, job.id)
        except HydraError as error:
            if error.retryable:
                jobs.requeue(store, job.id)
                raise
            log.error("ingest of job %s: %s", job.id, error)
            self._finish(job, None, (error.code, error.message))
        except BaseException:
            jobs.requeue(store, job.id)
            raise
        else:
            fault = None if result.error is None else (result.error.code, result.error.message)
            self._finish(job, result, fault)

    def _ingest(self, lease: WriteLease, job: Job, stop: threading.Event) -> IngestResult:
        from hydra_rag.scheduler import STOP
        from hydra_rag_indexing import jobs
        from hydra_rag_indexing.pipeline import Ingestor

        STOP.set(stop)
        rag, last = self._rag, 0.0

        def on_pages(done: int, total: int | None) -> None:
            nonlocal last
            if stop.is_set() and (total is None or done < total):
                raise CancelledError("the ingest was cancelled")
            if time.monotonic() - last >= _PROGRESS_S:
                last = time.monotonic()
                jobs.progress(rag.store, job.id, done, total)

        ingestor = Ingestor(
            rag.store,
            lease,
            job.tenant,
            job.collection,
            lambda: rag.model,
            options=job.options,
            model=rag.model_name,
        )
        try:
            return ingestor.run(job.path, on_pages)
        except CancelledError:
            if job.id in self._cancelled:
                ingestor.abandon(job.path)
            raise

    def _finish(
        self,
        job: Job,
        result: IngestResult | None,
        error: tuple[str, str] | None,
        *,
        outcome: str = "failed",
    ) -> None:
        """``outcome``: where there is no result."""
        from hydra_rag_indexing import jobs

        label = str(job.options.get("name") or os.path.basename(job.path))
        if error is not None:
            error = (error[0], error[1].replace(job.path, label).replace(os.path.basename(job.path), label))
        jobs.finish(
            self._rag.store,
            job.id,
            outcome=result.status if result is not None else outcome,
            document_id=result.document_id if result is not None else None,
            pages=result.pages if result is not None else 0,
            error=error,
        )
        if result is not None:
            self.on_result(result)
        if job.options.get("upload"):
            _forget_upload(Path(job.path))


def _forget_upload(path: Path) -> None:
    """The store has its own copy by now (or the file was refused)."""
    path.unlink(missing_ok=True)
    try:
        path.parent.rmdir()
    except OSError:
        return  # other files of the same upload still wait
    shutil.rmtree(path.parent, ignore_errors=True)
