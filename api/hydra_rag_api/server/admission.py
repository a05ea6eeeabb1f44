"""The door in front of the model: a few questions run, some wait, the rest are told when to come back.

Tenants take turns; within a tenant it is first come, first served. All of it runs on the event loop, so a
refusal takes no thread and no time.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict, deque

from hydra_rag_api.server.errors import ApiError

__all__ = ["Admission", "OneByOne", "Place"]


class Place:
    """A place among those that run, or in the line for one; made by :meth:`Admission.enter`.

    ``async with place`` waits until it is its turn and gives it back at the end. One that is never entered
    is given back with :meth:`leave`.
    """

    def __init__(self, door: Admission, tenant: str, *, waits: bool) -> None:
        self.tenant = tenant
        self.ready = asyncio.get_running_loop().create_future() if waits else None
        self._door, self._held = door, True
        self._began: float | None = None

    async def __aenter__(self) -> None:
        """Raises :class:`ApiError` 503 when the wait is too long or the server stops."""
        try:
            if self.ready is not None:
                await self._door.wait(self.ready)
        except BaseException:
            self.leave()
            raise
        self._began = time.monotonic()

    async def __aexit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Give the place back; a second time nothing happens."""
        if self._held:
            self._held = False
            self._door.left(self, None if self._began is None else time.monotonic() - self._began)


class Admission:
    """``running`` at once, ``waiting`` in line, ``per_tenant`` of both together. For one event loop."""

    def __init__(self, running: int, waiting: int, per_tenant: int, wait_seconds: float) -> None:
        self._most, self._most_waiting = running, waiting
        self._per_tenant, self._wait_seconds = per_tenant, wait_seconds
        self._lines: OrderedDict[str, deque[Place]] = OrderedDict()
        self._held: dict[str, int] = {}
        self._seconds = 2.0
        self._closed = False
        self.running = 0
        self.waiting = 0
        self.refused = 0

    def enter(self, tenant: str) -> Place:
        """A place, or one in the line, from now on. Raises as :meth:`check` does."""
        self.check(tenant)
        free = self.running < self._most
        self._held[tenant] = self._held.get(tenant, 0) + 1
        place = Place(self, tenant, waits=not free)
        if free:
            self.running += 1
        else:
            self._lines.setdefault(tenant, deque()).append(place)
            self.waiting += 1
        return place

    def check(self, tenant: str) -> None:
        """Raises :class:`ApiError` 429 (this tenant asks too much) or 503 (full, or stopping) at once."""
        if self._closed:
            raise self._stopping()
        if self._held.get(tenant, 0) >= self._per_tenant:
            raise self._refusal(
                429, "rate_limited", "Too many questions at once: wait for some of them to end."
            )
        if self.running >= self._most and self.waiting >= self._most_waiting:
            raise self._refusal(503, "queue_full", "The queue of questions is full: try again later.")

    def retry_after(self) -> str:
        """Seconds until a place is likely to be free, with jitter, 1 to 120."""
        guess = (self.waiting + 1) * self._seconds / self._most * random.uniform(0.8, 1.2)
        return str(max(1, min(120, round(guess))))

    def close(self) -> None:
        """Refuse everybody from now on, those in line included; what runs goes on."""
        self._closed = True
        for line in self._lines.values():
            for place in line:
                if place.ready is not None and not place.ready.done():
                    place.ready.set_exception(self._stopping())
        self._lines.clear()
        self.waiting = 0

    async def wait(self, ready: asyncio.Future[None]) -> None:
        """Wait in line."""
        try:
            await asyncio.wait_for(asyncio.shield(ready), self._wait_seconds)
        except TimeoutError:
            text = "No place became free in time: try again later."
            raise self._refusal(503, "queue_timeout", text) from None

    def left(self, place: Place, seconds: float | None) -> None:
        """``place`` is given back, after ``seconds`` of work (``None``: it was never entered)."""
        self._held[place.tenant] -= 1
        if not self._held[place.tenant]:
            del self._held[place.tenant]
        if seconds is not None:
            self._seconds += 0.2 * (seconds - self._seconds)
        line = self._lines.get(place.tenant)
        if line is not None and place in line:
            line.remove(place)
            self.waiting -= 1
            if not line:
                del self._lines[place.tenant]
        # Not in line: it ran, or was called; one whose line was closed has an exception instead.
        elif place.ready is None or (place.ready.done() and place.ready.exception() is None):
            self.running -= 1
            self._next()

    def _refusal(self, status: int, code: str, message: str) -> ApiError:
        self.refused += 1
        return ApiError(status, code, message, headers={"Retry-After": self.retry_after()})

    def _next(self) -> None:
        while self._lines and self.running < self._most:
            tenant, line = self._lines.popitem(last=False)
            place = line.popleft()
            if line:
                self._lines[tenant] = line  # behind the other tenants
            self.waiting -= 1
            assert place.ready is not None
            self.running += 1
            place.ready.set_result(None)

    @staticmethod
    def _stopping() -> ApiError:
        return ApiError(503, "shutting_down", "The server is stopping.", headers={"Retry-After": "10"})


class OneByOne:
    """Lets one task go on in each round of the event loop, first come, first served; what the sockets bring
    is heard in between. For one event loop."""

    def __init__(self) -> None:
        self._line: deque[asyncio.Future[None]] = deque()

    async def __call__(self) -> None:
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        self._line.append(ready)
        if len(self._line) == 1:
            loop.call_soon(self._next, loop)
        await ready

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        ready = self._line[0]
        if not ready.done():  # else cancelled
            ready.set_result(None)
        self._line.popleft()
        if self._line:
            loop.call_soon(self._next, loop)
