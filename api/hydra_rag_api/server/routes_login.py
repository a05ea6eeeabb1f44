"""A browser trades an API key for a cookie that scripts can't read."""

from __future__ import annotations

from typing import Annotated

import anyio
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, StringConstraints

from hydra_rag.store import keys
from hydra_rag_api.server.deps import Served
from hydra_rag_api.server.errors import ApiError
from hydra_rag_api.server.guard import COOKIE

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["operations"])


class LoginRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    key: Annotated[str, StringConstraints(min_length=1, max_length=512)]


@router.post("/login", status_code=204, summary="Sign in a browser with an API key")
async def login(services: Served, request: Request, body: LoginRequest) -> Response:
    tenant = await anyio.to_thread.run_sync(keys.tenant_of_key, services.store, body.key)
    if tenant is None:
        raise ApiError(
            401, "invalid_api_key", "This key is not valid.", headers={"WWW-Authenticate": "Bearer"}
        )
    response = Response(status_code=204)
    response.set_cookie(
        COOKIE,
        body.key,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
        path="/",
        max_age=30 * 24 * 3600,
    )
    return response


@router.post("/logout", status_code=204, summary="Sign the browser out")
async def logout() -> Response:
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response
