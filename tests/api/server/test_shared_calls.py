"""Many ask the same at once: few calls, and no answer older than its question."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hydra_rag_api.server.shared_calls import SharedCalls


class Source:
    """Its calls wait for :attr:`go` and give the :attr:`value` that stood when they began."""

    def __init__(self) -> None:
        self.value, self.calls, self.keys = 0, 0, list[str]()
        self.began, self.go = threading.Event(), threading.Event()

    def __call__(self, key: str) -> int:
        seen = self.value
        self.calls += 1
        self.keys.append(key)
        self.began.set()
        assert self.go.wait(10)
        if seen < 0:
            raise ValueError("asked too early")
        return seen


async def _begun(source: Source) -> None:
    while not source.began.is_set():
        await asyncio.sleep(0.001)


def test_all_who_ask_while_a_call_runs_share_the_next_one() -> None:
    async def scene() -> None:
        source = Source()
        shared = SharedCalls(source, 2)
        first = [asyncio.create_task(shared("a")) for _ in range(20)]
        await _begun(source)
        source.value = 1  # what the running call has not seen
        later = [asyncio.create_task(shared("a")) for _ in range(20)]
        other = asyncio.create_task(shared("b"))
        await asyncio.sleep(0.01)
        source.go.set()
        assert await asyncio.gather(*first) == [0] * 20
        assert await asyncio.gather(*later, other) == [1] * 21
        assert sorted(source.keys) == ["a", "a", "b"]
        assert await shared("a") == 1
        assert source.calls == 4
        assert not shared._running
        assert not shared._next

    asyncio.run(scene())


def test_errors_reach_all_and_one_who_leaves_stops_nobody() -> None:
    async def scene() -> None:
        source = Source()
        source.value = -1
        shared = SharedCalls(source, 2)
        asked = [asyncio.create_task(shared("a")) for _ in range(3)]
        await _begun(source)
        asked[0].cancel()
        source.value = 7
        later = asyncio.create_task(shared("a"))
        await asyncio.sleep(0)
        source.go.set()
        for one in asked[1:]:
            with pytest.raises(ValueError, match="early"):
                await one
        assert asked[0].cancelled()
        assert await later == 7

    asyncio.run(scene())
