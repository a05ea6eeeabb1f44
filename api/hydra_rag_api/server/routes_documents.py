"""Documents: upload, list, show, delete, original."""

from __future__ import annotations

from typing import Annotated, Any

import anyio
from fastapi import APIRouter, File, Header, Query, Response, UploadFile
from fastapi.responses import StreamingResponse

from hydra_rag.errors import NotFoundError
from hydra_rag.store.ids import new_id
from hydra_rag.store.records import DocumentInfo
from hydra_rag_agents.facade import HydraRAG
from hydra_rag_api.server import batches
from hydra_rag_api.server.deps import After, DocumentId, Engine, Served, Who
from hydra_rag_api.server.errors import ApiError
from hydra_rag_api.server.guard import Principal
from hydra_rag_api.server.schemas import DocumentList, DocumentPages, Job
from hydra_rag_api.server.services import Services
from hydra_rag_api.server.uploads import queue_uploads, receive

__all__ = ["accept_upload", "document_json", "remove_document", "router"]

router = APIRouter(prefix="/api/documents", tags=["documents"])


def document_json(info: DocumentInfo) -> dict[str, Any]:
    return {
        "document_id": info.document_id,
        "document": info.document,
        "status": info.status,
        "pages": info.pages,
        "bytes": info.bytes,
        "media_type": info.media_type,
        "added": info.added.isoformat(),
    }


@router.post("", status_code=202, response_model=Job, summary="Upload documents")
async def upload(
    services: Served,
    who: Who,
    engine: Engine,
    response: Response,
    files: Annotated[list[UploadFile], File(description="PDF, images, Office, text; names are labels.")],
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1, max_length=255, description="Repeating an upload with the same key does nothing."
        ),
    ] = None,
) -> dict[str, Any]:
    """Store the files and queue them for ingest. The answer comes as soon as they are safe on disk; follow
    the job's events for the rest."""
    job = await accept_upload(services, who, engine, files, idempotency_key)
    response.headers["Location"] = f"/api/jobs/{job['job_id']}"
    return job


async def accept_upload(
    services: Services, who: Principal, engine: HydraRAG, files: list[UploadFile], key: str | None = None
) -> dict[str, Any]:
    settings = services.settings
    if len(files) > settings.max_files:
        raise ApiError(422, "too_many_files", f"At most {settings.max_files} files are taken at once.")
    if services.stopping.is_set():
        raise ApiError(503, "shutting_down", "The server is stopping.", headers={"Retry-After": "10"})
    job_id = batches.job_id_for_key(who.tenant, key) if key is not None else new_id()
    if job_id in services.uploads:
        raise ApiError(409, "in_flight", "An upload with this Idempotency-Key is under way.")
    services.uploads.add(job_id)
    try:
        named = [(file.filename, file.file) for file in files]
        return await anyio.to_thread.run_sync(_store, services, who.tenant, engine, named, job_id)
    finally:
        services.uploads.discard(job_id)


def _store(
    services: Services, tenant: str, engine: HydraRAG, named: list[Any], job_id: str
) -> dict[str, Any]:
    store, settings = services.store, services.settings
    known = batches.read_batch(store, tenant, job_id)
    everybody, mine = batches.waiting_files(store, tenant)
    if not known and everybody + len(named) > settings.ingest_queue:
        raise ApiError(503, "queue_full", "The ingest queue is full.", headers={"Retry-After": "30"})
    if not known and mine + len(named) > settings.ingest_per_tenant:
        raise ApiError(429, "rate_limited", "Too many files wait already.", headers={"Retry-After": "30"})
    folder, uploads = receive(store, settings, tenant, named)
    if known:
        import shutil

        shutil.rmtree(folder, ignore_errors=True)
        before = [(row.options.get("name"), row.options.get("sha256")) for row in known]
        if before != [(upload.name, upload.sha256) for upload in uploads]:
            raise ApiError(422, "idempotency_mismatch", "This Idempotency-Key was used for other files.")
        return batches.batch_json(job_id, known)
    options = {"ocr": services.ocr, "force": False}
    queue_uploads(store, tenant, engine.collection_name, uploads, job_id=job_id, options=options)
    services.worker.wake()
    return batches.batch_json(job_id, batches.read_batch(store, tenant, job_id))


@router.get("", response_model=DocumentList, summary="Documents, in the order they were added")
def list_documents(
    engine: Engine, limit: Annotated[int, Query(ge=1, le=1000)] = 100, after: After = None
) -> dict[str, Any]:
    """`has_more`: there are others behind these; ask for them with `after`, the last id of this part."""
    found = engine.collection.documents(limit=limit + 1, after=after)
    return {
        "documents": [document_json(info) for info in found[:limit]],
        "has_more": len(found) > limit,
    }


@router.get("/{document_id}", response_model=DocumentPages, summary="A document and its pages")
def show_document(engine: Engine, document_id: DocumentId) -> dict[str, Any]:
    info = engine.collection.document(document_id)
    names = ("page", "width", "height", "label", "has_text", "text_source")
    pages = [{name: getattr(p, name) for name in names} for p in info.page_list]
    missing = [failed.to_json() for failed in info.failed_pages]
    return {**document_json(info), "page_list": pages, "failed_pages": missing}


@router.delete("/{document_id}", status_code=204, summary="Delete a document")
def delete_document(services: Served, who: Who, engine: Engine, document_id: DocumentId) -> Response:
    """Effective at once for every search and answer. A document that still waits for its ingest is
    cancelled."""
    remove_document(services, who, engine, document_id)
    return Response(status_code=204)


def remove_document(services: Services, who: Principal, engine: HydraRAG, document_id: str) -> None:
    waiting = [
        row
        for row in batches.jobs_of(services.store, who.tenant, engine.collection_name, ("queued", "running"))
        if row.options.get("document_id") == document_id
    ]
    if waiting:
        from hydra_rag_indexing import jobs

        ids = [row.id for row in waiting]
        jobs.cancel(services.store, ids)
        services.worker.cancel(ids)
    try:
        engine.remove([document_id])
    except NotFoundError:
        if not waiting:
            raise


@router.get(
    "/{document_id}/original",
    summary="The uploaded file",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
    },
)
def original(engine: Engine, document_id: DocumentId) -> StreamingResponse:
    return send_original(engine, document_id)


def send_original(engine: HydraRAG, document_id: str) -> StreamingResponse:
    """Always an attachment without a type: nobody's HTML runs under this origin."""
    from urllib.parse import quote

    info = engine.collection.document(document_id)
    path = engine.collection.original_path(document_id)
    try:
        size, handle = path.stat().st_size, path.open("rb")
    except OSError as error:
        raise ApiError(404, "not_found", f"The original of document {document_id} is gone.") from error

    def chunks() -> Any:
        with handle:
            while chunk := handle.read(1 << 18):
                yield chunk

    name = quote(info.document, safe="")
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        "Content-Length": str(size),
    }
    return StreamingResponse(chunks(), media_type="application/octet-stream", headers=headers)
