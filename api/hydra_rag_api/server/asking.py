"""One question as an async stream of events: its thread, its place in the queue, its end."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import anyio

from hydra_rag.errors import CancelledError
from hydra_rag_api.server.errors import ApiError

if TYPE_CHECKING:
    from hydra_rag_api.server.admission import Place
    from hydra_rag_api.server.services import Services

__all__ = ["in_thread", "stream_thread"]

_END = object()


async def stream_thread(
    services: Services, place: Place, make: Callable[[], Generator[Any]]
) -> AsyncGenerator[Any, None]:
    """Run the generator that ``make`` returns in a thread of its own and yield what it yields.

    Waits for its turn in ``place`` first. Closing this generator (or cancelling its task) stops the model
    before its next layer and returns once the thread has let go. Raises what the thread raised; a run that
    is cut by a stopping server or by the time limit raises :class:`ApiError`.
    """
    async with place:
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[Any] = asyncio.Queue()
        stop = threading.Event()
        services.streams.add(stop)
        began, limit = time.monotonic(), services.settings.stream_seconds

        def tell(item: Any) -> None:
            loop.call_soon_threadsafe(queue.put_nowait, item)

        def work() -> None:
            from hydra_rag.scheduler import STOP

            STOP.set(stop)
            try:
                with closing(make()) as events:
                    for event in events:
                        if stop.is_set():
                            break
                        tell(event)
            except BaseException as error:
                tell(error)
            finally:
                tell(_END)

        ended = loop.run_in_executor(services.threads, contextvars.copy_context().run, work)
        timer = loop.call_later(limit, stop.set)
        try:
            while (item := await queue.get()) is not _END:
                if isinstance(item, CancelledError):
                    break
                if isinstance(item, BaseException):
                    raise item
                yield item
            if stop.is_set():
                raise _cut(services, time.monotonic() - began >= limit)
        finally:
            timer.cancel()
            stop.set()
            services.streams.discard(stop)
            with anyio.CancelScope(shield=True):
                await asyncio.wait([ended])


async def in_thread(services: Services, tenant: str, function: Callable[[], Any]) -> Any:
    """One call that uses the model, with a place in the queue; stopped when its task is cancelled."""

    def once() -> Generator[Any]:
        yield (function(),)

    result: Any = None
    stream = stream_thread(services, services.admission.enter(tenant), once)
    try:
        async for (result,) in stream:  # noqa: B007
            pass
    finally:
        await stream.aclose()
    return result


def _cut(services: Services, late: bool) -> ApiError:
    if services.stopping.is_set():
        return ApiError(503, "shutting_down", "The server is stopping.", headers={"Retry-After": "10"})
    if late:
        return ApiError(503, "timeout", "The answer took too long.", headers={"Retry-After": "10"})
    return ApiError(503, "cancelled", "The request was stopped.", headers={"Retry-After": "1"})
