"""Do the same for many things in a few threads, and give the results in the order of the things."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["in_order"]

T = TypeVar("T")
R = TypeVar("R")


def in_order(work: Callable[[T], R], things: Iterable[T], threads: int) -> Generator[R]:
    """``work`` of every thing, at most ``threads`` at a time and as many ahead of the caller. An exception,
    of ``work`` or of ``things``, is raised where its result would have come, after those before it. Closing
    the iterator early waits for what is under way and begins nothing new."""
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            source = iter(things)
            while True:
                try:
                    thing = next(source)
                except StopIteration:
                    break
                except Exception:
                    while waiting:
                        yield waiting.popleft().result()
                    raise
                waiting.append(pool.submit(work, thing))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for late in waiting:
                late.cancel()
