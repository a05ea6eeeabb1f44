"""Pages: image, crop, words, regions and heat maps. Everything here has an ETag."""

from __future__ import annotations

import hashlib
import io
from functools import partial
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Query, Request, Response
from pydantic import StringConstraints

from hydra_rag.errors import CorruptionError
from hydra_rag.geometry import Box
from hydra_rag.store.records import PageInfo
from hydra_rag.values import MultiVector
from hydra_rag_agents.facade import HydraRAG
from hydra_rag_api.server.asking import in_thread
from hydra_rag_api.server.deps import DocumentId, Engine, PageNumber, Served, Text
from hydra_rag_api.server.errors import ApiError
from hydra_rag_api.server.heat import Heat, heat_of, heat_picture
from hydra_rag_api.server.schemas import HeatMap, RegionList, WordList
from hydra_rag_api.server.services import Services
from hydra_rag_api.server.sse import until_disconnect

__all__ = ["router"]

router = APIRouter(prefix="/api/documents/{document_id}/pages/{page}", tags=["pages"])
images = APIRouter(prefix="/api/documents/{document_id}/pages", tags=["pages"])

PNG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}},
    304: {"description": "Not changed since the ETag that was sent."},
}
WIDTHS = (160, 320, 640, 960, 1280)
QueryText = Annotated[
    Text,
    StringConstraints(min_length=1, max_length=2000, pattern=r"[^\s\x00-\x1f]"),
    Query(description="Text."),
]
Token = Annotated[int | None, Query(ge=0, le=10_000, description="One query token, counted from 0.")]


def _etag(*parts: object) -> str:
    return (
        '"' + hashlib.sha256("\x00".join(map(str, parts)).encode("utf-8", "replace")).hexdigest()[:32] + '"'
    )


def _headers(tag: str) -> dict[str, str]:
    return {"ETag": tag, "Cache-Control": "private, max-age=300"}


def _fresh(request: Request, tag: str) -> Response | None:
    sent = [part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")]
    return Response(status_code=304, headers=_headers(tag)) if tag in sent or "*" in sent else None


def _png(data: bytes, tag: str) -> Response:
    return Response(data, media_type="image/png", headers=_headers(tag))


@images.get("/{page}.png", response_class=Response, responses=PNG, summary="The page as it was indexed")
def page_image(
    services: Served,
    engine: Engine,
    request: Request,
    document_id: DocumentId,
    page: PageNumber,
    width: Annotated[int | None, Query(ge=1, le=4096, description="At most this wide (rounded up).")] = None,
) -> Response:
    info = engine.collection.page(document_id, page)
    chosen = next((w for w in WIDTHS if width is not None and w >= width and w < info.width), None)
    tag = _etag("page", info.image_sha256, chosen)
    if (same := _fresh(request, tag)) is not None:
        return same
    if chosen is None:
        path = engine.store.page_image_path(engine.tenant, info.image_sha256, info.image_suffix)
        try:
            return _png(path.read_bytes(), tag)
        except OSError as error:
            raise CorruptionError("a page image is missing") from error
    make = partial(_scaled, engine, info, chosen)
    return _png(services.pictures.get_or_make((engine.tenant, tag), make), tag)


def _scaled(engine: HydraRAG, info: PageInfo, width: int) -> bytes:
    from PIL import Image

    from hydra_rag_indexing.page_images import load_page_image

    image = load_page_image(engine.store, engine.tenant, info)
    size = (width, max(1, round(info.height * width / info.width)))
    out = io.BytesIO()
    image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0).save(out, "PNG", compress_level=3)
    return out.getvalue()


@router.get("/crop.png", response_class=Response, responses=PNG, summary="A part of the page, in more detail")
def crop(
    services: Served,
    engine: Engine,
    request: Request,
    document_id: DocumentId,
    page: PageNumber,
    left: Annotated[int, Query(ge=0, le=100_000)],
    top: Annotated[int, Query(ge=0, le=100_000)],
    right: Annotated[int, Query(ge=1, le=100_000)],
    bottom: Annotated[int, Query(ge=1, le=100_000)],
    scale: Annotated[float, Query(ge=0.1, le=4.0, description="Times the stored size.")] = 1.0,
) -> Response:
    """The box is in pixels of the stored page image and is cut to the page. Rendered anew from the original
    where that gives more detail."""
    info = engine.collection.page(document_id, page)
    box = Box(left, top, max(right, left + 1), max(bottom, top + 1)).clip(info.width, info.height)
    if box.area * scale * scale > services.settings.max_image_pixels:
        raise ApiError(413, "too_large", "The crop would be too large: ask for a smaller box or scale.")
    tag = _etag("crop", info.image_sha256, *box, round(scale, 3))
    if (same := _fresh(request, tag)) is not None:
        return same

    def make() -> bytes:
        out = io.BytesIO()
        engine.collection.render_crop(document_id, page, box, scale).save(out, "PNG", compress_level=3)
        return out.getvalue()

    return _png(services.pictures.get_or_make((engine.tenant, tag), make), tag)


@router.get("/words", response_model=WordList, summary="The page's text layer")
def words(engine: Engine, document_id: DocumentId, page: PageNumber) -> dict[str, Any]:
    info = engine.collection.page(document_id, page)
    found = engine.collection.page_words(document_id, page)
    return {
        "width": info.width,
        "height": info.height,
        "words": [{"text": word.text, "box": list(word.box)} for word in found],
    }


@router.get("/regions", response_model=RegionList, summary="Places on the page that match a text")
async def regions(
    services: Served,
    engine: Engine,
    request: Request,
    document_id: DocumentId,
    page: PageNumber,
    query: QueryText,
    top: Annotated[int, Query(ge=1, le=20)] = 3,
) -> dict[str, Any]:
    from hydra_rag.evidence import evidence_regions
    from hydra_rag_agents.places import text_places

    info = await anyio.to_thread.run_sync(engine.collection.page, document_id, page)
    words = await anyio.to_thread.run_sync(engine.collection.page_words, document_id, page)
    found = await anyio.to_thread.run_sync(text_places, words, query, top)
    if not found:
        _, vectors, stored = await _vectors(services, engine, request, document_id, page, query)
        found = await anyio.to_thread.run_sync(lambda: evidence_regions(vectors, stored, top=top))
    places = [
        {"box": list(box.clip(info.width, info.height)), "score": round(float(score), 6)}
        for box, score in found
    ]
    return {"width": info.width, "height": info.height, "regions": places}


@router.get("/heatmap", response_model=HeatMap, summary="Heat map of a query, as numbers")
async def heatmap(
    services: Served,
    engine: Engine,
    request: Request,
    document_id: DocumentId,
    page: PageNumber,
    query: QueryText,
    token: Token = None,
) -> dict[str, Any]:
    info, vectors, stored = await _vectors(services, engine, request, document_id, page, query)
    heat = await anyio.to_thread.run_sync(heat_of, engine, query, vectors, stored, token)
    assert stored.boxes is not None
    tokens = zip(heat.labels, heat.weights, strict=True)
    return {
        "width": info.width,
        "height": info.height,
        "score": round(heat.score, 6),
        "grid": None if stored.grid is None else list(stored.grid),
        "boxes": stored.boxes.tolist(),
        "values": [round(float(value), 5) for value in heat.values],
        "tokens": [
            {
                "index": i,
                "text": text.encode("utf-8", "replace").decode(),
                "asked": asked,
                "weight": round(float(weight), 5),
            }
            for i, ((text, asked), weight) in enumerate(tokens)
        ],
    }


@router.get(
    "/heatmap.png", response_class=Response, responses=PNG, summary="Heat map to lay over the page image"
)
async def heatmap_image(
    services: Served,
    engine: Engine,
    request: Request,
    document_id: DocumentId,
    page: PageNumber,
    query: QueryText,
    token: Token = None,
) -> Response:
    info = await anyio.to_thread.run_sync(engine.collection.page, document_id, page)
    known = engine.collection.fingerprint
    tag = _etag("heat", info.image_sha256, known, query, token)
    if known is not None and (same := _fresh(request, tag)) is not None:
        return same
    info, vectors, stored = await _vectors(services, engine, request, document_id, page, query)
    tag = _etag("heat", info.image_sha256, engine.collection.fingerprint, query, token)

    def make() -> bytes:
        heat: Heat = heat_of(engine, query, vectors, stored, token)
        assert stored.boxes is not None
        return heat_picture(heat, stored.boxes.astype(float), info.width, info.height)

    data = await anyio.to_thread.run_sync(services.pictures.get_or_make, (engine.tenant, tag), make)
    return _png(data, tag)


async def _vectors(
    services: Services, engine: HydraRAG, request: Request, document_id: str, page: int, query: str
) -> tuple[PageInfo, MultiVector, MultiVector]:
    """The page, the query's vectors, the page's. Only a new query waits for the model."""

    def read() -> tuple[PageInfo, MultiVector]:
        return engine.collection.page(document_id, page), engine.collection.page_vectors(document_id, page)

    info, stored = await anyio.to_thread.run_sync(read)
    if stored.boxes is None:
        raise ApiError(409, "no_boxes", "This page's vectors have no places: no map can be drawn.")
    vectors = services.queries.get((engine.tenant, query))
    if vectors is None or vectors.dim != stored.dim:
        embed = lambda: engine.collection.embedder().embed_queries([query])[0]  # noqa: E731
        vectors = await until_disconnect(request, in_thread(services, engine.tenant, embed))
        if vectors is None:
            raise ApiError(503, "cancelled", "The client went away.")
        services.queries.put((engine.tenant, query), vectors)
    return info, vectors, stored
