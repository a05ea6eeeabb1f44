"""`/v1/vector_stores`: collections under OpenAI's name; search returns pages with their places."""

from __future__ import annotations

import re
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from hydra_rag.errors import NotFoundError
from hydra_rag.store import documents
from hydra_rag.store.ids import new_id
from hydra_rag.store.models import CollectionRow
from hydra_rag_agents.facade import HydraRAG
from hydra_rag_api.server.asking import in_thread
from hydra_rag_api.server.deps import Bool, Int, Number, Served, Text, Who
from hydra_rag_api.server.errors import ApiError
from hydra_rag_api.server.guard import Principal
from hydra_rag_api.server.openai.annotations import file_id as public_id
from hydra_rag_api.server.openai.annotations import page_url
from hydra_rag_api.server.openai.files import (
    OBJECT,
    After,
    FileId,
    Limit,
    Order,
    all_files,
    find_file,
    page_of_list,
)
from hydra_rag_api.server.services import Services
from hydra_rag_api.server.sse import until_disconnect

__all__ = ["router"]

router = APIRouter(prefix="/v1/vector_stores", tags=["openai"])
StoreId = Annotated[str, Path(pattern=r"^vs_[A-Za-z0-9_-]{1,64}$")]
Query_ = Annotated[Text, StringConstraints(min_length=1, max_length=8000, pattern=r"[^\s\x00-\x1f]")]
_STATES = {"uploaded": "in_progress", "processed": "completed", "error": "failed"}


class StoreRequest(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: Annotated[Text, StringConstraints(max_length=200)] | None = None


class StoreFileRequest(BaseModel):
    model_config = ConfigDict(extra="ignore")

    file_id: Annotated[str, StringConstraints(max_length=100)]


class Ranking(BaseModel):
    model_config = ConfigDict(extra="ignore")

    score_threshold: Number | None = Field(None, ge=0, le=1)


class SearchRequest(BaseModel):
    model_config = ConfigDict(extra="ignore", json_schema_extra={"examples": [{"query": "invoice total"}]})

    query: Query_ | Annotated[list[Query_], Field(min_length=1, max_length=1)]
    max_num_results: Int = Field(10, ge=1, le=50)
    rewrite_query: Bool | None = None
    ranking_options: Ranking | None = None


def _engine(services: Services, who: Principal, store_id: str) -> HydraRAG:
    """The engine of a collection that exists. Raises 404."""
    name = store_id.removeprefix("vs_")
    engine = services.engine(who.tenant, name)
    if name != services.rag.collection_name:
        with engine.store.session() as db:
            if documents.get_collection(db, who.tenant, name) is None:
                raise ApiError(404, "not_found", f"There is no vector store {store_id}.")
    return engine


def _object(engine: HydraRAG, created: int) -> dict[str, Any]:
    files = all_files(engine)
    states = [_STATES[file["status"]] for file in files]
    counts: dict[str, int] = {
        name: states.count(name) for name in ("in_progress", "completed", "failed", "cancelled")
    }
    return {
        "id": f"vs_{engine.collection_name}",
        "object": "vector_store",
        "created_at": created,
        "name": engine.collection_name,
        "usage_bytes": sum(file["bytes"] for file in files),
        "file_counts": {**counts, "total": len(files)},
        "status": "in_progress" if counts["in_progress"] else "completed",
        "expires_after": None,
        "expires_at": None,
        "last_active_at": created,
        "metadata": {},
    }


@router.get("", summary="Vector stores (collections)", responses=OBJECT)
def list_stores(
    services: Served, who: Who, limit: Limit = 100, after: After = None, order: Order = "desc"
) -> Response:
    names = {info.name for info in documents.list_collections(services.store, who.tenant)}
    names.add(services.rag.collection_name)
    page = page_of_list([{"id": f"vs_{name}"} for name in sorted(names)], limit, after, order)
    shown = [str(item["id"]).removeprefix("vs_") for item in page["data"]]  # the files of these are counted
    page["data"] = [_object(services.engine(who.tenant, name), int(services.started)) for name in shown]
    return JSONResponse(page)


@router.post("", summary="Make a vector store (collection)", responses=OBJECT)
def create(services: Served, who: Who, body: StoreRequest | None = None) -> Response:
    """The collection's name is made from `name`; upload into it with `?collection=NAME`."""
    given = re.sub(r"[^A-Za-z0-9_-]+", "-", (body.name if body else None) or "").strip("-")[:48]
    name = given or f"store-{new_id()[-10:].lower()}"
    with services.store.write() as db:
        if db.get(CollectionRow, (who.tenant, name)) is None:
            db.add(CollectionRow(tenant=who.tenant, name=name))
    return JSONResponse(_object(services.engine(who.tenant, name), int(services.started)))


@router.get("/{vector_store_id}", summary="A vector store", responses=OBJECT)
def show(services: Served, who: Who, vector_store_id: StoreId) -> Response:
    return JSONResponse(_object(_engine(services, who, vector_store_id), int(services.started)))


def _store_file(engine: HydraRAG, file: dict[str, Any]) -> dict[str, Any]:
    status = _STATES[file["status"]]
    error = {"code": "server_error", "message": file["status_details"]} if status == "failed" else None
    return {
        "id": file["id"],
        "object": "vector_store.file",
        "created_at": file["created_at"],
        "usage_bytes": file["bytes"],
        "vector_store_id": f"vs_{engine.collection_name}",
        "status": status,
        "last_error": error,
        "attributes": {"filename": file["filename"][:512]},
        "chunking_strategy": {"type": "other"},
    }


@router.get("/{vector_store_id}/files", summary="Files of a vector store", responses=OBJECT)
def list_files(
    services: Served,
    who: Who,
    vector_store_id: StoreId,
    limit: Limit = 100,
    after: After = None,
    order: Order = "desc",
) -> Response:
    engine = _engine(services, who, vector_store_id)
    files = [_store_file(engine, file) for file in all_files(engine)]
    return JSONResponse(page_of_list(files, limit, after, order))


@router.post("/{vector_store_id}/files", summary="Add a file", responses=OBJECT)
def add_file(services: Served, who: Who, vector_store_id: StoreId, body: StoreFileRequest) -> Response:
    """Uploads are ingested at once, so a file of this collection is in already."""
    engine = _engine(services, who, vector_store_id)
    if not re.fullmatch(r"file-[0-9A-HJKMNP-TV-Z]{26}", body.file_id):
        raise ApiError(404, "not_found", "There is no such file.", param="file_id")
    try:
        return JSONResponse(_store_file(engine, find_file(engine, body.file_id)))
    except ApiError:
        find_file(services.engine(who.tenant), body.file_id)  # raises where it is nobody's
        raise ApiError(
            409,
            "other_collection",
            f"The file is in another collection: upload it with ?collection={engine.collection_name}.",
        ) from None


@router.get("/{vector_store_id}/files/{file_id}", summary="A file of a vector store", responses=OBJECT)
def show_file(services: Served, who: Who, vector_store_id: StoreId, file_id: FileId) -> Response:
    engine = _engine(services, who, vector_store_id)
    return JSONResponse(_store_file(engine, find_file(engine, file_id)))


@router.post("/{vector_store_id}/search", summary="Search a vector store", responses=OBJECT)
async def search(
    services: Served, who: Who, request: Request, vector_store_id: StoreId, body: SearchRequest
) -> Response:
    """One result per page: its text layer as content, the best region as attributes x0, y0, x1, y1."""
    engine = await anyio.to_thread.run_sync(_engine, services, who, vector_store_id)
    query = body.query if isinstance(body.query, str) else body.query[0]

    def work() -> list[dict[str, Any]]:
        hits = engine.search(query, k=body.max_num_results)
        return [result for hit in hits if (result := _result(services, request, engine, hit)) is not None]

    found = await until_disconnect(request, in_thread(services, who.tenant, work)) or []
    least = body.ranking_options.score_threshold if body.ranking_options is not None else None
    data = [result for result in found if least is None or result["score"] >= least]
    return JSONResponse(
        {
            "object": "vector_store.search_results.page",
            "search_query": [query],
            "data": data,
            "has_more": False,
            "next_page": None,
        }
    )


def _result(services: Services, request: Request, engine: HydraRAG, hit: Any) -> dict[str, Any] | None:
    try:
        words = engine.collection.page_words(hit.document_id, hit.page)
    except NotFoundError:  # deleted since
        return None
    box = hit.regions[0].box if hit.regions else None
    attributes: dict[str, Any] = {
        "page": hit.page,
        "url": page_url(services, request, hit.document_id, hit.page, box)[:512],
    }
    if box is not None:
        attributes |= dict(zip(("x0", "y0", "x1", "y1"), (int(v) for v in box), strict=True))
    text = " ".join(word.text for word in words) or f"Page {hit.page} of {hit.document}"
    return {
        "file_id": public_id(hit.document_id),
        "filename": hit.document,
        "score": max(0.0, min(1.0, float(hit.score))),
        "attributes": attributes,
        "content": [{"type": "text", "text": text}],
    }
