"""Calls that many ask for at once: one for all of them, and a second one for those who came meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import anyio

__all__ = ["SharedCalls"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SharedCalls(Generic[K, V]):
    """``function(key)``, in one of ``threads`` threads of its own. For one event loop.

    A call begins after everybody who gets its result has asked for it, so the result is never older than
    the question; while one runs, all who ask for the same key wait for the next one.
    """

    def __init__(self, function: Callable[[K], V], threads: int) -> None:
        self._function, self._threads = function, threads
        self._limiter: anyio.CapacityLimiter | None = None
        self._running: dict[K, asyncio.Task[V]] = {}
        self._next: dict[K, asyncio.Task[V]] = {}

    async def __call__(self, key: K) -> V:
        """What the function returns or raises. One who is cancelled does not stop the others' call."""
        coming = self._next.get(key)
        if coming is None or coming.done():
            coming = asyncio.create_task(self._call(key, self._running.get(key)))
            coming.add_done_callback(_seen)
            self._next[key] = coming
        return await asyncio.shield(coming)

    async def _call(self, key: K, before: asyncio.Task[V] | None) -> V:
        if before is not None:
            await asyncio.wait([before])
        mine = self._running[key] = self._next.pop(key)
        if self._limiter is None:  # made in the loop that uses it
            self._limiter = anyio.CapacityLimiter(self._threads)
        try:
            return await anyio.to_thread.run_sync(self._function, key, limiter=self._limiter)
        finally:
            if self._running.get(key) is mine:
                del self._running[key]


def _seen(task: asyncio.Task[V]) -> None:
    """An error that nobody waits for any more is no news."""
    if not task.cancelled():
        task.exception()
