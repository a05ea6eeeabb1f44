"""`/v1/models`: with retrieval and evidence, and the model alone."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel

from hydra_rag_api.server.deps import Served, Who
from hydra_rag_api.server.errors import ApiError

__all__ = ["RAG", "RAW", "check_model", "router"]

#: Answers from the documents. / The same weights without retrieval.
RAG, RAW = "hydra-rag", "hydra-rag-raw"

router = APIRouter(prefix="/v1/models", tags=["openai"])


class Model(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "hydra-rag"


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Model]


def check_model(name: str) -> str:
    if name not in (RAG, RAW):
        raise ApiError(
            404, "model_not_found", f"There is no such model here: use {RAG} or {RAW}.", param="model"
        )
    return name


@router.get("", response_model=ModelList, summary="Models")
async def list_models(services: Served, who: Who) -> dict[str, Any]:
    created = int(services.started)
    return {"object": "list", "data": [{"id": name, "created": created} for name in (RAG, RAW)]}


@router.get("/{model}", response_model=Model, summary="One model")
async def show_model(
    services: Served, who: Who, model: Annotated[str, Path(max_length=200)]
) -> dict[str, Any]:
    return {"id": check_model(model), "created": int(services.started)}
