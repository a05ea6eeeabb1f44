"""MCP over streamable HTTP inside the API: same address, same keys, same queue.

The guard in front of the app has checked the key and says whose documents are meant before a request comes
here. Nothing is kept between requests, so nobody can pick up another's session. The mcp package takes longer
to import than the rest of the server to start, so the first request brings it in.
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
    from anyio.abc import TaskGroup, TaskStatus
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
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
    """Serve the tools under ``/mcp`` of ``app``; needs the mcp package."""
    endpoint = _Endpoint(services)
    original = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(of: Any) -> AsyncIterator[Any]:
        async with original(of) as state, endpoint.open():
            yield state

    app.router.lifespan_context = lifespan
    route = Route(PATH, endpoint, methods=["GET", "POST", "DELETE"], include_in_schema=False)
    app.router.routes.insert(0, route)


class _Endpoint:
    """An instance of a class, so that Starlette hands it the bare ASGI call."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._tasks: TaskGroup | None = None
        self._manager: StreamableHTTPSessionManager | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Requests are answered in here. An app may be started again: a session manager runs only once."""
        async with anyio.create_task_group() as tasks:
            self._tasks, self._manager, self._first = tasks, None, anyio.Lock()
            try:
                yield
            finally:
                self._tasks = None
                tasks.cancel_scope.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._first:
            if self._manager is None:
                assert self._tasks is not None, "the app has not been started"
                made = await anyio.to_thread.run_sync(_manager, self._services)
                await self._tasks.start(self._run, made)
                self._manager = made
        await self._manager.handle_request(scope, receive, send)

    @staticmethod
    async def _run(manager: StreamableHTTPSessionManager, *, task_status: TaskStatus[None]) -> None:
        async with manager.run():
            task_status.started()
            await anyio.sleep_forever()


def _manager(services: Services) -> StreamableHTTPSessionManager:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

    from hydra_rag_api.mcp_server import make_server

    server = make_server(_runner(services), visible=_visible)
    # Host and origin are checked by the guard, with the names that this server is known by.
    return StreamableHTTPSessionManager(server, stateless=True)


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
