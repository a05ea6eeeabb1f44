"""Ingest jobs: state, progress events, cancel."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Header, Query
from fastapi.responses import Response

from hydra_rag_api.server import batches
from hydra_rag_api.server.deps import After, JobId, Served, Who
from hydra_rag_api.server.schemas import Job, JobList
from hydra_rag_api.server.services import Services
from hydra_rag_api.server.sse import SCHEMA, EventStream, event

__all__ = ["router"]

router = APIRouter(prefix="/api/jobs", tags=["jobs"])
_POLL_S = 0.25
_ENDED = ("succeeded", "failed", "cancelled")


@router.get("", response_model=JobList, summary="The newest jobs")
def list_jobs(
    services: Served, who: Who, limit: Annotated[int, Query(ge=1, le=100)] = 20, after: After = None
) -> dict[str, Any]:
    """`has_more`: there are older ones; ask for them with `after`, the last id of this part."""
    found = batches.list_batches(services.store, who.tenant, limit + 1, after)
    return {"jobs": found[:limit], "has_more": len(found) > limit}


@router.get("/{job_id}", response_model=Job, summary="How far a job is")
def show_job(services: Served, who: Who, job_id: JobId) -> dict[str, Any]:
    return _read(services, who.tenant, job_id)


@router.delete("/{job_id}", response_model=Job, summary="Cancel a job")
def cancel_job(services: Served, who: Who, job_id: JobId) -> dict[str, Any]:
    """Files that wait are dropped, the one under way stops soon after; what is ingested stays."""
    ids = batches.cancel_batch(services.store, who.tenant, job_id)
    services.worker.cancel(ids)
    for row in batches.read_batch(services.store, who.tenant, job_id):
        if row.id in ids and row.state == "cancelled" and row.options.get("upload"):
            with suppress(OSError):
                Path(row.path).unlink(missing_ok=True)
                Path(row.path).parent.rmdir()
    return _read(services, who.tenant, job_id)


@router.get(
    "/{job_id}/events",
    summary="Progress as server-sent events",
    description="`progress` events hold the job as it is, whenever it changes; the last one is `done`. "
    "A client that comes back gets the present state first.",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {"schema": SCHEMA}}}},
)
async def job_events(
    services: Served,
    who: Who,
    job_id: JobId,
    last_event_id: Annotated[str | None, Header(max_length=64)] = None,
) -> Response:
    first = await anyio.to_thread.run_sync(_read, services, who.tenant, job_id)
    return EventStream(_follow(services, who.tenant, job_id, first, last_event_id))


def _read(services: Services, tenant: str, job_id: str) -> dict[str, Any]:
    return batches.batch_json(job_id, batches.read_batch(services.store, tenant, job_id))


def _version(job: dict[str, Any]) -> str:
    """Names a state, so that a client that comes back is not told again what it knows."""
    return f"{zlib.crc32(json.dumps(job).encode()):08x}"


async def _follow(
    services: Services, tenant: str, job_id: str, job: dict[str, Any], known: str | None
) -> AsyncGenerator[bytes, None]:
    while True:
        version = _version(job)
        if job["state"] in _ENDED:
            yield event(job, "done", version)
            return
        if version != known:
            known = version
            yield event(job, "progress", version)
        if services.stopping.is_set():
            return  # the client comes back and goes on
        await asyncio.sleep(_POLL_S)
        job = await anyio.to_thread.run_sync(_read, services, tenant, job_id)
