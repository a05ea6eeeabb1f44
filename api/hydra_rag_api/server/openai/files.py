"""`/v1/files`: documents under OpenAI's name. A file is ingested as soon as it is uploaded."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import anyio
from fastapi import APIRouter, File, Form, Path, Query, UploadFile
from fastapi.responses import JSONResponse, Response, StreamingResponse

from hydra_rag.errors import NotFoundError
from hydra_rag.store.models import JobRow
from hydra_rag_agents.facade import HydraRAG
from hydra_rag_api.server import batches
from hydra_rag_api.server.deps import ID, Engine, Served, Who
from hydra_rag_api.server.errors import ApiError
from hydra_rag_api.server.openai.annotations import file_id as public_id
from hydra_rag_api.server.openai.annotations import ulid_of
from hydra_rag_api.server.routes_documents import accept_upload, remove_document, send_original

__all__ = ["FileId", "all_files", "find_file", "page_of_list", "router"]

router = APIRouter(prefix="/v1/files", tags=["openai"])
FileId = Annotated[str, Path(pattern=f"^file-{ID.strip('^$')}$")]
OBJECT: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"schema": {"type": "object"}}}}
}
Order = Annotated[Literal["asc", "desc"], Query()]
After = Annotated[str | None, Query(max_length=100)]
Limit = Annotated[int, Query(ge=1, le=10_000)]
_UNDONE = ("queued", "running", "failed", "cancelled")


def _file(
    document_id: str, name: str, size: int, created: float, status: str, detail: str | None = None
) -> dict[str, Any]:
    return {
        "id": public_id(document_id),
        "object": "file",
        "bytes": size,
        "created_at": int(created),
        "expires_at": None,
        "filename": name,
        "purpose": "assistants",
        "status": status,
        "status_details": detail,
    }


def _of_job(row: JobRow) -> dict[str, Any]:
    failed = row.state in ("failed", "cancelled")
    return _file(
        str(row.options.get("document_id")),
        str(row.options.get("name")),
        int(row.options.get("bytes") or 0),
        row.created.timestamp(),
        "error" if failed else "uploaded",
        (row.error_message or "The ingest was cancelled.") if failed else None,
    )


def all_files(engine: HydraRAG) -> list[dict[str, Any]]:
    """Searchable documents, and uploads that wait or failed; oldest first."""
    found = {
        info.document_id: _file(
            info.document_id, info.document, info.bytes, info.added.timestamp(), "processed"
        )
        for info in engine.documents
        if info.status == "ready"
    }
    for row in batches.jobs_of(engine.store, engine.tenant, engine.collection_name, _UNDONE):
        document_id = row.options.get("document_id")
        if document_id and document_id not in found:
            found[str(document_id)] = _of_job(row)
    return [found[key] for key in sorted(found)]


def find_file(engine: HydraRAG, file_id: str) -> dict[str, Any]:
    """A file by its public id; an upload whose content was known already shows the document it is."""
    document_id = ulid_of(file_id)
    try:
        info = engine.collection.document(document_id)
        if info.status == "ready":
            return _file(info.document_id, info.document, info.bytes, info.added.timestamp(), "processed")
    except NotFoundError:
        pass
    states = (*_UNDONE, "done")
    for row in reversed(batches.jobs_of(engine.store, engine.tenant, engine.collection_name, states)):
        if row.options.get("document_id") == document_id:
            if row.state != "done":
                return _of_job(row)
            if row.document_id and row.document_id != document_id:
                return {**find_file(engine, public_id(row.document_id)), "id": file_id}
    raise ApiError(404, "not_found", f"There is no file {file_id}.")


def page_of_list(items: list[dict[str, Any]], limit: int, after: str | None, order: str) -> dict[str, Any]:
    """OpenAI's list object."""
    ordered = items if order == "asc" else items[::-1]
    if after is not None:
        ids = [item["id"] for item in ordered]
        ordered = ordered[ids.index(after) + 1 :] if after in ids else []
    shown = ordered[:limit]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": len(ordered) > limit,
    }


@router.post("", summary="Upload a file", responses=OBJECT)
async def upload(
    services: Served,
    who: Who,
    engine: Engine,
    file: Annotated[UploadFile, File()],
    purpose: Annotated[str, Form(min_length=1, max_length=64)],
) -> Response:
    job = await accept_upload(services, who, engine, [file])
    document_id = job["files"][0]["document_id"]
    if document_id is None:  # ended already
        raise ApiError(422, "ingest_failed", "The file could not be ingested.")
    return JSONResponse(await anyio.to_thread.run_sync(find_file, engine, public_id(document_id)))


@router.get("", summary="Files", responses=OBJECT)
def list_files(
    engine: Engine,
    limit: Limit = 10_000,
    after: After = None,
    order: Order = "desc",
    purpose: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    return JSONResponse(page_of_list(all_files(engine), limit, after, order))


@router.get("/{file_id}", summary="A file", responses=OBJECT)
def show(engine: Engine, file_id: FileId) -> Response:
    return JSONResponse(find_file(engine, file_id))


@router.delete("/{file_id}", summary="Delete a file", responses=OBJECT)
def remove(services: Served, who: Who, engine: Engine, file_id: FileId) -> Response:
    try:
        remove_document(services, who, engine, ulid_of(file_id))
    except NotFoundError:
        raise ApiError(404, "not_found", f"There is no file {file_id}.") from None
    return JSONResponse({"id": file_id, "object": "file", "deleted": True})


@router.get(
    "/{file_id}/content",
    summary="A file's content",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
    },
)
def content(engine: Engine, file_id: FileId) -> Response:
    try:
        return send_original(engine, ulid_of(file_id))
    except NotFoundError:
        raise ApiError(404, "not_found", f"There is no file {file_id}, or it is not ingested yet.") from None
