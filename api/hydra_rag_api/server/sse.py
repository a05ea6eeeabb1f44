"""Server-sent events that notice when nobody listens any more."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

__all__ = ["KEEP_ALIVE_S", "SCHEMA", "EventStream", "event", "until_disconnect"]

KEEP_ALIVE_S = 15.0
#: What an event is, for the API's description.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("data", "event", "id")},
}


def event(data: Any, name: str | None = None, id: str | None = None) -> bytes:
    """One event; ``data`` is JSON (a string is sent as it stands)."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, allow_nan=False)
    lines = [f"event: {name}"] if name else []
    lines += [f"id: {id}"] if id else []
    lines += [f"data: {line}" for line in text.split("\n")]
    return ("\n".join(lines) + "\n\n").encode("utf-8", "replace")


class EventStream(Response):
    """Streams what ``source`` yields (bytes of whole events). When the client goes away the generator is
    closed at once, also while it waits; a comment is sent while nothing else is, so that proxies stay."""

    media_type = "text/event-stream"

    def __init__(self, source: AsyncGenerator[bytes, None], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no", **(headers or {})},
            media_type=self.media_type,
        )
        del self.headers["content-length"]
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        lock = anyio.Lock()
        quiet = True

        async def say(body: bytes, more: bool = True) -> None:
            async with lock:
                await send({"type": "http.response.body", "body": body, "more_body": more})

        async def keep_alive() -> None:
            nonlocal quiet
            while True:
                quiet = True
                await anyio.sleep(KEEP_ALIVE_S)
                if quiet:
                    await say(b": keep-alive\n\n")

        async def listen(scope_: anyio.CancelScope) -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            scope_.cancel()

        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(listen, group.cancel_scope)
                group.start_soon(keep_alive)
                try:
                    async for piece in self._source:
                        quiet = False
                        await say(piece)
                    await say(b"", more=False)
                except OSError:
                    pass  # the client went away between two events
                group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self._source.aclose()


async def until_disconnect(request: Request, work: Any) -> Any:
    """Await ``work`` (a coroutine); cancel it when the client goes away. Returns ``None`` then."""
    out: list[Any] = []

    async def listen(scope: anyio.CancelScope) -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        scope.cancel()

    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(listen, group.cancel_scope)
        try:
            out.append(await work)
        except Exception as error:  # carried out of the group, which would wrap it
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return out[0] if out else None
