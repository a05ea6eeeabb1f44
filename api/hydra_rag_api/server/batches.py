"""Ingest jobs as clients see them: one upload with its files and how far each is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select, update

from hydra_rag.store.base import now
from hydra_rag.store.models import JobRow
from hydra_rag.store.store import Store
from hydra_rag_api.server.errors import ApiError

__all__ = [
    "batch_json",
    "cancel_batch",
    "job_id_for_key",
    "jobs_of",
    "list_batches",
    "read_batch",
    "waiting_files",
]

_OPEN = ("queued", "running")


def job_id_for_key(tenant: str, key: str) -> str:
    """The job's id of an idempotency key: a function of it, so that a repeat finds the first one."""
    digest = hashlib.sha256(f"{tenant}\x00{key}".encode("utf-8", "replace")).hexdigest()
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    value = int(digest, 16)
    return "7" + "".join(alphabet[(value >> (5 * i)) & 31] for i in range(25))


def read_batch(store: Store, tenant: str, job_id: str) -> list[JobRow]:
    query = select(JobRow).where(JobRow.tenant == tenant, JobRow.batch == job_id).order_by(JobRow.id)
    with store.session() as db:
        return list(db.scalars(query))


def jobs_of(store: Store, tenant: str, collection: str, states: Sequence[str]) -> list[JobRow]:
    """Uploads of a collection in one of ``states``, oldest first."""
    query = select(JobRow).where(
        JobRow.tenant == tenant, JobRow.collection == collection, JobRow.state.in_(states)
    )
    with store.session() as db:
        rows = list(db.scalars(query.order_by(JobRow.id)))
    return [row for row in rows if row.options.get("upload")]


def list_batches(store: Store, tenant: str, limit: int, after: str | None = None) -> list[dict[str, Any]]:
    """The newest ``limit`` jobs first; ``after``: of those that are older than the job of this id."""
    last = func.max(JobRow.id)
    newest = select(JobRow.batch).where(JobRow.tenant == tenant).group_by(JobRow.batch)
    if after is not None:
        place = select(last).where(JobRow.tenant == tenant, JobRow.batch == after)
        newest = newest.having(last < place.scalar_subquery())
    with store.session() as db:
        ids = list(db.scalars(newest.order_by(last.desc()).limit(limit)))
    return [batch_json(job_id, read_batch(store, tenant, job_id)) for job_id in ids]


def waiting_files(store: Store, tenant: str) -> tuple[int, int]:
    """Files in the queue: of everybody, of the tenant."""
    query = select(func.count()).select_from(JobRow).where(JobRow.state.in_(_OPEN))
    with store.session() as db:
        return db.scalar(query) or 0, db.scalar(query.where(JobRow.tenant == tenant)) or 0


def cancel_batch(store: Store, tenant: str, job_id: str) -> list[str]:
    """Cancel what nobody has begun; returns the ids of files that are under way or waiting."""
    rows = read_batch(store, tenant, job_id)
    if not rows:
        raise unknown_job(job_id)
    with store.write() as db:
        db.execute(
            update(JobRow)
            .where(JobRow.tenant == tenant, JobRow.batch == job_id, JobRow.state == "queued")
            .values(state="cancelled", updated=now())
        )
    return [row.id for row in rows if row.state in _OPEN]


def unknown_job(job_id: str) -> ApiError:
    return ApiError(404, "not_found", f"There is no ingest job {job_id}.")


def batch_json(job_id: str, rows: Sequence[JobRow]) -> dict[str, Any]:
    if not rows:
        raise unknown_job(job_id)
    states = [row.state for row in rows]
    files = [_file_json(row) for row in rows]
    return {
        "job_id": job_id,
        "state": _state(states),
        "collection": rows[0].collection,
        "created": min(row.created for row in rows).isoformat(),
        "updated": max(row.updated for row in rows).isoformat(),
        "files_total": len(rows),
        "files_done": sum(state == "done" for state in states),
        "files_failed": sum(state == "failed" for state in states),
        "pages_done": sum(row.pages_done for row in rows),
        "files": files,
    }


def _state(states: Sequence[str]) -> str:
    if any(state == "running" for state in states):
        return "running"
    if any(state == "queued" for state in states):
        return "queued" if all(state == "queued" for state in states) else "running"
    if all(state == "cancelled" for state in states):
        return "cancelled"
    return "succeeded" if any(state == "done" for state in states) else "failed"


def _file_json(row: JobRow) -> dict[str, Any]:
    names = {"done": "succeeded"}
    error = None
    if row.error_code is not None:
        error = {"code": row.error_code, "message": row.error_message or ""}
    promised = row.options.get("document_id")
    return {
        "name": str(row.options.get("name") or row.path.rpartition("/")[2]),
        "state": names.get(row.state, row.state),
        "document_id": row.document_id or (promised if row.state in _OPEN else None),
        "outcome": row.outcome if row.outcome != "failed" else None,
        "bytes": row.options.get("bytes"),
        "pages_done": row.pages_done,
        "pages_total": row.pages_total,
        "error": error,
    }
