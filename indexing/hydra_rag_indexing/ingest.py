"""An ingest from the caller's side: discover files, take the lease or queue, follow, drain."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra_rag.errors import HydraError
from hydra_rag.store.store import Store
from hydra_rag_indexing import jobs
from hydra_rag_indexing.events import IngestError, IngestEvent, IngestResult
from hydra_rag_indexing.lease import WriteLease, busy_message
from hydra_rag_indexing.pipeline import Ingestor, Settings

if TYPE_CHECKING:
    from hydra_rag.values import Embedder

__all__ = ["IngestRun"]

log = logging.getLogger(__name__)

_POLL_S = 0.25
_MAX_JOB_ATTEMPTS = 3


class IngestRun:
    """One call of ``ingest``; also used to work through the queue."""

    def __init__(
        self,
        store: Store,
        embedder: Callable[[], Embedder],
        *,
        tenant: str,
        collection: str,
        fingerprint: Callable[[], str | None],
        model: str | None,
        options: dict[str, Any],
        settings: Settings | None,
        progress: Callable[[IngestEvent], None] | None,
    ) -> None:
        self.store, self.embedder = store, embedder
        self.tenant, self.collection, self.model = tenant, collection, model
        self.options, self.settings = options, settings
        self.fingerprint = fingerprint
        self._progress = progress or (lambda event: None)
        self._total = self._done = 0

    def run(
        self, paths: Sequence[Path | str], include: Sequence[str] = (), exclude: Sequence[str] = ()
    ) -> list[IngestResult]:
        """Ingest here when the lease is free, else through its holder. Results in the order found."""
        from hydra_rag_indexing.files.discovery import discover

        found = discover(paths, include, exclude)
        self._total = len(found)
        self._progress(IngestEvent("files", 0, self._total))
        files = [str(item.path) for item in found if item.error is None]
        done = iter(self._files(files) if files else ())
        results = []
        for item in found:
            if item.error is None:
                results.append(next(done))
                continue
            error = IngestError(item.error.code, item.error.message)
            results.append(IngestResult(str(item.path), None, 0, "failed", error))
            self._ended(results[-1])
        return results

    def _files(self, files: Sequence[str]) -> list[IngestResult]:
        lease = WriteLease.try_acquire(self.store)
        if lease is None:
            return self._follow(files)
        with lease:
            jobs.recover(self.store, lease)
            ingestor = self._ingestor(lease, self.tenant, self.collection, self.options)
            began = time.monotonic()
            results = [self._one(ingestor, path) for path in files]
            spent, inside = time.monotonic() - began, ingestor.model_seconds
            log.info("%d files in %.1f s, %.1f s of it inside the model", len(files), spent, inside)
            self.drain(lease)
        return results

    def _ended(self, result: IngestResult) -> None:
        self._done += 1
        self._progress(IngestEvent("result", self._done, self._total, result.path, result=result))

    def drain(self, lease: WriteLease) -> int:
        """Do the queued jobs of every process that this model may do. Returns how many."""
        count = 0
        while (job := jobs.claim(self.store, lease, self.fingerprint())) is not None:
            count += 1
            try:
                self._do(lease, job)
            except BaseException:
                jobs.requeue(self.store, job.id)
                raise
        return count

    def _do(self, lease: WriteLease, job: jobs.Job) -> None:
        if job.attempts > _MAX_JOB_ATTEMPTS:
            error = ("internal", "Reading this file stopped the program several times; it was given up.")
            jobs.finish(self.store, job.id, outcome="failed", document_id=None, pages=0, error=error)
            return
        ingestor = self._ingestor(lease, job.tenant, job.collection, job.options)
        last = time.monotonic()

        def on_pages(done: int, total: int | None) -> None:
            nonlocal last
            if time.monotonic() - last >= 1.0:
                last = time.monotonic()
                jobs.progress(self.store, job.id, done, total)

        try:
            result = ingestor.run(job.path, on_pages)
        except HydraError as error:
            if error.code not in ("fingerprint",):
                raise
            result = IngestResult(job.path, None, 0, "failed", IngestError(error.code, error.message))
        jobs.finish(
            self.store,
            job.id,
            outcome=result.status,
            document_id=result.document_id,
            pages=result.pages,
            error=(result.error.code, result.error.message) if result.error else None,
        )

    def _follow(self, files: Sequence[str]) -> list[IngestResult]:
        """Queue the files and wait; take over when the holder is gone."""
        absolute = [os.path.abspath(path) for path in files]
        ids = jobs.enqueue(
            self.store,
            self.tenant,
            self.collection,
            absolute,
            options=self.options,
            fingerprint=self.fingerprint(),
            owner=jobs.me(),
        )
        seen: set[str] = set()
        try:
            self._progress(IngestEvent("waiting", self._done, self._total, message=busy_message(self.store)))
            while True:
                found = jobs.read(self.store, self.tenant, ids)
                for path, job in zip(files, found, strict=True):
                    if job.id not in seen and job.ended:
                        seen.add(job.id)
                        self._done += 1
                        event = IngestEvent(
                            "result", self._done, self._total, path, result=_result(path, job)
                        )
                        self._progress(event)
                    elif job.state == "running":
                        self._progress(
                            IngestEvent(
                                "page", self._done, self._total, path, job.pages_done, job.pages_total
                            )
                        )
                if len(seen) == len(ids):
                    return [_result(path, job) for path, job in zip(files, found, strict=True)]
                lease = WriteLease.try_acquire(self.store)
                if lease is None:
                    time.sleep(_POLL_S)
                    continue
                with lease:
                    jobs.recover(self.store, lease)
                    self.drain(lease)
        except BaseException:
            jobs.cancel(self.store, ids)
            raise

    def _one(self, ingestor: Ingestor, path: str) -> IngestResult:
        self._progress(IngestEvent("file", self._done, self._total, path))
        result = ingestor.run(
            path,
            lambda done, total: self._progress(
                IngestEvent("page", self._done, self._total, path, done, total)
            ),
        )
        self._ended(result)
        return result

    def _ingestor(self, lease: WriteLease, tenant: str, collection: str, options: dict[str, Any]) -> Ingestor:
        return Ingestor(
            self.store,
            lease,
            tenant,
            collection,
            self.embedder,
            options=options,
            model=self.model,
            settings=self.settings,
        )


def _result(path: str, job: jobs.Job) -> IngestResult:
    if job.outcome in ("indexed", "unchanged", "replaced") and job.state == "done":
        partly = IngestError(job.error_code, job.error_message or "") if job.error_code else None
        return IngestResult(path, job.document_id, job.pages_done, job.outcome, partly)  # type: ignore[arg-type]
    code = job.error_code or "cancelled"
    message = job.error_message or "The job was cancelled before it was done: run the command again."
    return replace(IngestResult(path, None, 0, "failed"), error=IngestError(code, message))
