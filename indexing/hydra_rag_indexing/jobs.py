"""The ingest queue: a table, so that it survives every process.

A process that cannot get the write lease leaves its files here and follows them; the holder works through
the queue before it lets go. A job with an owner is dropped when that process is gone; one without
(``owner=None``, as a server queues them) stays until somebody has done it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from hydra_rag.store.base import now
from hydra_rag.store.documents import parts
from hydra_rag.store.ids import new_id
from hydra_rag.store.models import JobRow
from hydra_rag.store.store import Store
from hydra_rag_indexing.lease import WriteLease

__all__ = [
    "Job",
    "cancel",
    "claim",
    "enqueue",
    "finish",
    "me",
    "progress",
    "read",
    "recover",
    "requeue",
    "waiting",
]


@dataclass(frozen=True, slots=True)
class Job:
    """``state``: queued, running, done, failed or cancelled. ``outcome``: as an ingest result's status."""

    id: str
    tenant: str
    collection: str
    batch: str
    path: str
    options: dict[str, Any]
    fingerprint: str | None
    state: str
    attempts: int
    pages_done: int
    pages_total: int | None
    document_id: str | None
    outcome: str | None
    error_code: str | None
    error_message: str | None

    @property
    def ended(self) -> bool:
        return self.state in ("done", "failed", "cancelled")


def me() -> str:
    """This process, in a form that another one can check for life."""
    return f"{socket.gethostname()}:{os.getpid()}:{_start_time(os.getpid())}"


def alive(owner: str) -> bool:
    """Whether the owner still runs; owners on other hosts count as alive."""
    host, pid, started = owner.rsplit(":", 2)
    return host != socket.gethostname() or (_start_time(int(pid)) or "gone") == started


def _start_time(pid: int) -> str:
    """Clock ticks at which a process began (process ids are reused); empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def enqueue(
    store: Store,
    tenant: str,
    collection: str,
    paths: Iterable[str],
    *,
    options: dict[str, Any],
    fingerprint: str | None,
    owner: str | None,
) -> list[str]:
    """One job per path; returns their ids in order."""
    batch = new_id()
    rows = [
        JobRow(
            id=new_id(),
            tenant=tenant,
            collection=collection,
            batch=batch,
            path=path,
            options=options,
            fingerprint=fingerprint,
            owner=owner,
        )
        for path in paths
    ]
    with store.write() as db:
        db.add_all(rows)
    return [row.id for row in rows]


def read(store: Store, tenant: str, job_ids: Sequence[str]) -> list[Job]:
    """Jobs by id, in the order of the ids; unknown ones and other tenants' are left out."""
    found: dict[str, Job] = {}
    with store.session() as db:
        for some in parts(job_ids):
            query = select(JobRow).where(JobRow.tenant == tenant, JobRow.id.in_(some))
            found |= {row.id: _job(row) for row in db.scalars(query)}
    return [found[job_id] for job_id in job_ids if job_id in found]


def waiting(db: Session) -> bool:
    """Whether any job is queued (or was left running)."""
    query = select(JobRow.id).where(JobRow.state.in_(("queued", "running"))).limit(1)
    return db.scalar(query) is not None


def claim(store: Store, lease: WriteLease, fingerprint: str | None) -> Job | None:
    """Take the oldest queued job that this model may do, any tenant's; ``None`` when there is none.

    ``fingerprint``: the holder's model; jobs that ask for another model stay for their own process.
    """
    with store.write() as db:
        lease.fence(db, visible=False)
        query = select(JobRow).where(JobRow.state == "queued").order_by(JobRow.id).limit(1)
        if fingerprint is not None:
            query = query.where(JobRow.fingerprint.is_(None) | (JobRow.fingerprint == fingerprint))
        row = db.scalar(query)
        if row is None:
            return None
        row.state, row.epoch, row.attempts = "running", lease.epoch, row.attempts + 1
        db.flush()
        return _job(row)


def progress(store: Store, job_id: str, done: int, total: int | None) -> None:
    _set(store, job_id, pages_done=done, pages_total=total)


def finish(
    store: Store,
    job_id: str,
    *,
    outcome: str,
    document_id: str | None,
    pages: int,
    error: tuple[str, str] | None,
) -> None:
    """The end of a job. ``outcome``: ``indexed``, ``unchanged``, ``replaced``, ``failed``, ``cancelled``."""
    _set(
        store,
        job_id,
        state=outcome if outcome in ("failed", "cancelled") else "done",
        outcome=None if outcome == "cancelled" else outcome,
        document_id=document_id,
        pages_done=pages,
        pages_total=pages,
        error_code=error[0] if error else None,
        error_message=error[1] if error else None,
    )


def requeue(store: Store, job_id: str) -> None:
    """Give a job back unfinished (its holder stops)."""
    _set(store, job_id, state="queued", epoch=None)


def cancel(store: Store, job_ids: Sequence[str]) -> None:
    """Drop those of the jobs that nobody has begun."""
    with store.write() as db:
        for some in parts(job_ids):
            dropped = update(JobRow).where(JobRow.id.in_(some), JobRow.state == "queued")
            db.execute(dropped.values(state="cancelled", updated=now()))


def recover(store: Store, lease: WriteLease) -> None:
    """Right after taking the lease: put back what a dead holder was doing, drop what nobody awaits."""
    with store.session() as db:
        if not waiting(db):
            return
    with store.write() as db:
        lease.fence(db, visible=False)
        for row in db.scalars(select(JobRow).where(JobRow.state.in_(("queued", "running")))):
            if row.owner is not None and not alive(row.owner):
                row.state = "cancelled"
            elif row.state == "running":
                row.state, row.epoch = "queued", None


def _set(store: Store, job_id: str, **values: Any) -> None:
    with store.write() as db:
        db.execute(update(JobRow).where(JobRow.id == job_id).values(updated=now(), **values))


def _job(row: JobRow) -> Job:
    return Job(
        id=row.id,
        tenant=row.tenant,
        collection=row.collection,
        batch=row.batch,
        path=row.path,
        options=row.options,
        fingerprint=row.fingerprint,
        state=row.state,
        attempts=row.attempts,
        pages_done=row.pages_done,
        pages_total=row.pages_total,
        document_id=row.document_id,
        outcome=row.outcome,
        error_code=row.error_code,
        error_message=row.error_message,
    )
