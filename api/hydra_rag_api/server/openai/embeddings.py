"""`/v1/embeddings`: one pooled vector in OpenAI's form, or with ``return_multivector`` all of them."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

import anyio
import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from hydra_rag.values import FloatArray, MultiVector, QueryItem
from hydra_rag_api.server.asking import in_thread
from hydra_rag_api.server.deps import Bool, DataUri, Engine, Int, Served, Text, decode_image
from hydra_rag_api.server.errors import ApiError
from hydra_rag_api.server.openai.models import RAG
from hydra_rag_api.server.sse import until_disconnect

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["openai"])
Input = Annotated[Text, StringConstraints(min_length=1, max_length=32_000)]


class EmbedItem(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: Input | None = None
    image: DataUri | None = None


class EmbeddingsRequest(BaseModel):
    """``task``: ``retrieval.passage`` embeds an image as a page, with the boxes of its vectors."""

    model_config = ConfigDict(
        extra="ignore", json_schema_extra={"examples": [{"model": "hydra-rag", "input": "invoice total"}]}
    )

    model: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    input: Input | Annotated[list[Input | EmbedItem], Field(min_length=1, max_length=64)]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Int | None = Field(None, ge=1, le=65_536)
    return_multivector: Bool = False
    task: Literal["retrieval.query", "retrieval.passage"] = "retrieval.query"


@router.post(
    "/embeddings",
    summary="Embeddings",
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
)
async def embeddings(services: Served, engine: Engine, request: Request, body: EmbeddingsRequest) -> Response:
    if body.model != RAG:
        raise ApiError(404, "model_not_found", f"Use the model {RAG}.", param="model")
    items: list[Any] = [body.input] if isinstance(body.input, str) else list(body.input)
    images = sum(isinstance(item, EmbedItem) and item.image is not None for item in items)
    if images > services.settings.max_images:
        raise ApiError(422, "too_many_images", f"At most {services.settings.max_images} images are taken.")

    def prepare() -> list[QueryItem]:
        return [_item(item, body.task, services.settings) for item in items]

    queries = await anyio.to_thread.run_sync(prepare)

    def work() -> list[MultiVector]:
        embedder = engine.collection.embedder()
        if body.dimensions not in (None, embedder.dim):
            raise ApiError(422, "dimensions", f"Vectors have {embedder.dim} dimensions.", param="dimensions")
        if body.task == "retrieval.passage":
            return embedder.embed_pages(queries)  # type: ignore[arg-type]
        return embedder.embed_queries(queries)

    found: list[MultiVector] | None
    found = await until_disconnect(request, in_thread(services, engine.tenant, work))
    if found is None:
        return Response(status_code=503)
    tokens = sum(len(vectors) for vectors in found)
    data = {
        "object": "list",
        "model": body.model,
        "data": [_data(index, vectors, body) for index, vectors in enumerate(found)],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return JSONResponse(await anyio.to_thread.run_sync(lambda: data))


def _item(item: Any, task: str, settings: Any) -> QueryItem:
    text, uri = (item, None) if isinstance(item, str) else (item.text, item.image)
    image = None if uri is None else decode_image(uri, settings)
    if task == "retrieval.passage":
        if image is None or text is not None:
            raise ApiError(422, "invalid_request", "Passages are page images: give an image and no text.")
        return image
    if image is None:
        if text is None:
            raise ApiError(422, "invalid_request", "An input needs a text, an image, or both.")
        return str(text)
    return {"text": text, "image": image} if text else image


def _data(index: int, vectors: MultiVector, body: EmbeddingsRequest) -> dict[str, Any]:
    if body.return_multivector:
        rows = vectors.vectors
        out: dict[str, Any] = {"object": "embedding", "index": index}
        if body.encoding_format == "base64":
            out["embeddings"] = [_base64(row) for row in rows]
        else:
            out["embeddings"] = rows.tolist()
        if vectors.boxes is not None:
            out["boxes"] = vectors.boxes.tolist()
        return out
    mean = vectors.vectors.mean(0)
    pooled = (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)
    value = _base64(pooled) if body.encoding_format == "base64" else pooled.tolist()
    return {"object": "embedding", "index": index, "embedding": value}


def _base64(row: FloatArray) -> str:
    return base64.b64encode(np.ascontiguousarray(row, "<f4").tobytes()).decode()
