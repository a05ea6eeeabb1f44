"""MCP over streamable HTTP inside the API: same address, same keys, same queue.

The guard in front of the app has checked the key and says whose documents are meant before a request comes
here. Nothing is kept between requests, so nobody can pick up another's session.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import anyio
from fastapi import FastAPI
from starlette.routing import Route

from hydra_rag.errors import HydraError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from hydra_rag_agents.tool_values import ToolOutput, ToolSpec
    from hydra_rag_api.mcp_server import Work
    from hydra_rag_api.server.guard import Principal
    from hydra_rag_api.server.services import Services

__all__ = ["PATH", "mount", "mount_mcp"]

PATH = "/mcp"


def mount(app: FastAPI, services: Services) -> None:
    """:func:`mount_mcp` where the mcp package is installed, else nothing."""
    if find_spec("mcp") is not None:
        mount_mcp(app, services)


def mount_mcp(app: FastAPI, services: Services) -> None:
    """Serve the tools under ``/mcp`` of ``app``. Raises :class:`MissingExtraError` without mcp."""
    from hydra_rag_api.mcp_server import make_server

    running: list[Any] = []

    # A session manager runs once; an app may be started again.
    original = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(of: Any) -> AsyncIterator[Any]:
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        server = make_server(_runner(services), visible=_visible)
        # Host and origin are checked by the guard, with the names that this server is known by.
        manager = StreamableHTTPSessionManager(server, stateless=True)
        async with original(of) as state, manager.run():
            running.append(manager)
            try:
                yield state
            finally:
                running.remove(manager)

    app.router.lifespan_context = lifespan
    route = Route(PATH, _Endpoint(running), methods=["GET", "POST", "DELETE"], include_in_schema=False)
    app.router.routes.insert(0, route)


class _Endpoint:
    """An instance of a class, so that Starlette hands it the bare ASGI call."""

    def __init__(self, running: list[Any]) -> None:
        self._running = running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._running[-1].handle_request(scope, receive, send)


def _runner(services: Services) -> Any:
    from hydra_rag_agents.sources import LocalSource
    from hydra_rag_agents.tool_values import Options
    from hydra_rag_api.server.asking import in_thread
    from hydra_rag_api.server.errors import ApiError
    from hydra_rag_api.server.routes_ask import ask_settings

    async def runner(context: Any, tool: ToolSpec, work: Work) -> ToolOutput:
        who: Principal | None = context.request.scope["state"]["principal"]
        if who is None:
            raise HydraError("A valid API key is needed.", code="invalid_api_key")
        engine = services.engine(who.tenant)
        source = LocalSource(lambda: engine, ask_settings(services, {}))
        if not tool.model:
            return await anyio.to_thread.run_sync(work, source, Options(), None)
        try:
            result: ToolOutput = await in_thread(services, who.tenant, lambda: work(source, Options(), None))
        except ApiError as error:
            raise HydraError(error.message, code=error.code) from error
        return result

    return runner


def _visible(error: HydraError) -> str:
    from hydra_rag_api.server.errors import api_error

    return api_error(error).message if error.code != "invalid_api_key" else error.message
