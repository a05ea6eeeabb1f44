"""The door in front of the model: a few questions run, some wait, the rest are told when to come back.

Tenants take turns; within a tenant it is first come, first served. All of it runs on the event loop, so a
refusal takes no thread and no time.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from hydra_rag_api.server.errors import ApiError

__all__ = ["Admission"]


@dataclass(eq=False)
class _Ticket:
    tenant: str
    ready: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Admission:
    """``running`` at once, ``waiting`` in line, ``per_tenant`` of both together."""

    def __init__(self, running: int, waiting: int, per_tenant: int, wait_seconds: float) -> None:
        self._most, self._most_waiting = running, waiting
        self._per_tenant, self._wait_seconds = per_tenant, wait_seconds
        self._lines: OrderedDict[str, deque[_Ticket]] = OrderedDict()
        self._held: dict[str, int] = {}
        self._seconds = 2.0
        self._closed = False
        self.running = 0
        self.waiting = 0
        self.refused = 0

    @asynccontextmanager
    async def enter(self, tenant: str) -> AsyncIterator[None]:
        """Wait for a place. Raises :class:`ApiError` 429 (this tenant asks too much) or 503 (full)."""
        ticket = self._queue(tenant)
        began = time.monotonic()
        try:
            if ticket is not None:
                await self._wait(ticket)
            began = time.monotonic()
            try:
                yield
            finally:
                self._seconds += 0.2 * (time.monotonic() - began - self._seconds)
                self.running -= 1
                self._next()
        finally:
            self._held[tenant] -= 1
            if not self._held[tenant]:
                del self._held[tenant]

    def check(self, tenant: str) -> None:
        """Raise what :meth:`enter` would raise at once. A streamed answer asks before it sends its status:
        nothing else can run on the loop between the two."""
        if self._closed:
            raise self._stopping()
        if self._held.get(tenant, 0) >= self._per_tenant:
            self.refused += 1
            raise ApiError(
                429,
                "rate_limited",
                "Too many questions at once: wait for some of them to end.",
                headers={"Retry-After": self.retry_after()},
            )
        if self.running >= self._most and self.waiting >= self._most_waiting:
            self.refused += 1
            raise ApiError(
                503,
                "queue_full",
                "The queue of questions is full: try again later.",
                headers={"Retry-After": self.retry_after()},
            )

    def retry_after(self) -> str:
        """Seconds until a place is likely to be free, with jitter, 1 to 120."""
        guess = (self.waiting + 1) * self._seconds / self._most * random.uniform(0.8, 1.2)
        return str(max(1, min(120, round(guess))))

    def close(self) -> None:
        """Refuse everybody from now on, those in line included; what runs goes on."""
        self._closed = True
        for line in self._lines.values():
            for ticket in line:
                if not ticket.ready.done():
                    ticket.ready.set_exception(self._stopping())
        self._lines.clear()
        self.waiting = 0

    def _queue(self, tenant: str) -> _Ticket | None:
        self.check(tenant)
        self._held[tenant] = self._held.get(tenant, 0) + 1
        if self.running < self._most:
            self.running += 1
            return None
        ticket = _Ticket(tenant)
        self._lines.setdefault(tenant, deque()).append(ticket)
        self.waiting += 1
        return ticket

    async def _wait(self, ticket: _Ticket) -> None:
        try:
            await asyncio.wait_for(asyncio.shield(ticket.ready), self._wait_seconds)
        except TimeoutError:
            self._leave(ticket)
            self.refused += 1
            raise ApiError(
                503,
                "queue_timeout",
                "No place became free in time: try again later.",
                headers={"Retry-After": self.retry_after()},
            ) from None
        except BaseException:
            self._leave(ticket)
            raise

    def _leave(self, ticket: _Ticket) -> None:
        """Take a ticket out of its line; one that was called already passes its place on."""
        line = self._lines.get(ticket.tenant)
        if line is not None and ticket in line:
            line.remove(ticket)
            self.waiting -= 1
            if not line:
                del self._lines[ticket.tenant]
            ticket.ready.cancel()
        elif ticket.ready.done() and not ticket.ready.cancelled() and ticket.ready.exception() is None:
            self.running -= 1
            self._next()

    def _next(self) -> None:
        while self._lines and self.running < self._most:
            tenant, line = self._lines.popitem(last=False)
            ticket = line.popleft()
            if line:
                self._lines[tenant] = line  # behind the other tenants
            self.waiting -= 1
            if not ticket.ready.done():
                self.running += 1
                ticket.ready.set_result(None)

    @staticmethod
    def _stopping() -> ApiError:
        return ApiError(503, "shutting_down", "The server is stopping.", headers={"Retry-After": "10"})
