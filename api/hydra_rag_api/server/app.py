"""The app: routes, error form, guard, web page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from fastapi import FastAPI

from hydra_rag import __version__
from hydra_rag_api.server import (
    routes_ask,
    routes_documents,
    routes_jobs,
    routes_login,
    routes_ops,
    routes_pages,
    routes_sessions,
)
from hydra_rag_api.server.errors import MEDIA_TYPE, install
from hydra_rag_api.server.guard import Guard
from hydra_rag_api.server.services import Services

__all__ = ["create_app"]

_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_STATUSES = {
    400: "Not valid JSON or form data.",
    401: "A key is needed.",
    403: "Not allowed from there.",
    404: "No such thing, or not yours.",
    409: "Does not fit the present state.",
    413: "Too large.",
    415: "Not a kind of file that is taken.",
    422: "The request can't be carried out as it stands.",
    429: "Too many requests of this tenant; see Retry-After.",
    501: "Needs a part that is not installed.",
    503: "Not now; see Retry-After.",
    507: "The disk is full.",
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {MEDIA_TYPE: {"schema": _PROBLEM}}}
    for status, text in _STATUSES.items()
}
_DESCRIPTION = """Ask questions of documents by looking at them. Native endpoints under `/api`, an
OpenAI-compatible surface under `/v1`. Errors are problem documents (RFC 9457) that also carry OpenAI's
`error`. Boxes are (left, top, right, bottom), integers, half-open, in pixels of the stored page image; pages
count from 1."""


def create_app(services: Services, *, manage: bool = True) -> FastAPI:
    """The ASGI app. ``manage``: start and stop ``services`` with the app's lifespan."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if manage:
            services.start()
        try:
            yield
        finally:
            if manage:
                await services.stop()

    app = FastAPI(
        title="hydra_rag",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # their assets come from other sites
        redoc_url=None,
        responses=_RESPONSES,
        separate_input_output_schemas=False,
        generate_unique_id_function=_operation_id,
    )
    app.state.services = services
    services.worker.on_result = _count(services)
    install(app)
    for router in (
        routes_ask.router,
        routes_documents.router,
        routes_pages.images,
        routes_pages.router,
        routes_jobs.router,
        routes_sessions.router,
        routes_login.router,
        routes_ops.router,
    ):
        app.include_router(router)
    services.public_paths |= {"/api/login", "/api/logout"}
    _mount(app, services)
    app.add_middleware(Guard, services=services)
    _describe(app)
    return app


def _operation_id(route: Any) -> str:
    module = route.endpoint.__module__.rpartition(".")[2].removeprefix("routes_")
    return f"{module}_{route.name}"


def _mount(app: FastAPI, services: Services) -> None:
    """Other surfaces, where they are installed: each package has ``mount(app, services)``."""
    for name in ("hydra_rag_api.web", "hydra_rag_api.server.openai", "hydra_rag_api.mcp_http"):
        if find_spec(name) is not None:
            mount = getattr(import_module(name), "mount", None)
            if mount is not None:
                mount(app, services)


def _count(services: Services) -> Any:
    def on_result(result: Any) -> None:
        services.metrics.files.labels(result.status).inc()
        if result.status in ("indexed", "replaced"):
            services.metrics.pages.inc(result.pages)

    return on_result


def _describe(app: FastAPI) -> None:
    """The schema with the problem body, the bearer scheme, and no validation error of the framework's own."""
    from hydra_rag_api.server.schemas import Problem

    original = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = original()
            parts = schema.setdefault("components", {})
            schemas = parts.setdefault("schemas", {})
            made = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= made.pop("$defs", {})
            schemas["Problem"] = made
            schemas.pop("HTTPValidationError", None)
            schemas.pop("ValidationError", None)
            parts["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
            schema["security"] = [{"bearer": []}, {}]
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
