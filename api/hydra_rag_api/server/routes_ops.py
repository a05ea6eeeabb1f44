"""For those who run the server: health, readiness, metrics, version."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from hydra_rag import __version__
from hydra_rag_api.server.deps import Served, Who

__all__ = ["router"]

router = APIRouter(tags=["operations"])
PROMETHEUS = "text/plain; version=1.0.0; charset=utf-8"


class Health(BaseModel):
    status: Literal["ok"]


class Ready(BaseModel):
    status: Literal["starting", "loading", "ready", "failed", "stopping"]


class Version(BaseModel):
    name: str
    version: str


class Me(BaseModel):
    """``auth``: ``open`` where no key is needed."""

    tenant: str
    auth: Literal["key", "cookie", "open"]
    model: str
    collection: str
    status: Literal["starting", "loading", "ready", "failed", "stopping"]


@router.get("/healthz", response_model=Health, summary="The process is alive")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/health", response_model=Health, include_in_schema=False)
async def health() -> dict[str, str]:
    return {"status": "ok"}


@router.get(
    "/readyz",
    response_model=Ready,
    summary="The model is loaded and questions are taken",
    responses={503: {"model": Ready, "content": {"application/json": {}}}},
)
async def readyz(services: Served) -> Response:
    ready = services.state == "ready"
    headers = {} if ready else {"Retry-After": "2"}
    return JSONResponse({"status": services.state}, 200 if ready else 503, headers=headers)


@router.get("/version", response_model=Version, summary="Name and version")
async def version() -> dict[str, Any]:
    return {"name": "hydra-rag", "version": __version__}


@router.get("/api/me", response_model=Me, summary="Who the server takes you for")
async def me(services: Served, who: Who) -> dict[str, Any]:
    return {
        "tenant": who.tenant,
        "auth": who.by,
        "model": services.rag.model_name.rstrip("/").rpartition("/")[2],
        "collection": services.rag.collection_name,
        "status": services.state,
    }


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(services: Served, who: Who) -> Response:
    return Response(services.metrics.render(), headers={"Content-Type": PROMETHEUS})
