"""Run an iterator in a thread, a bounded number of items ahead of its consumer."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Generic, TypeVar

__all__ = ["Prefetch"]

T = TypeVar("T")


class Prefetch(Generic[T]):
    """``for item in Prefetch(make, ahead)``: ``make`` runs wholly in one thread of its own.

    Its exception is raised in the consumer, after the items before it. Leave the ``with`` block early and
    the iterator is closed (its ``finally`` blocks run) before the block ends.
    """

    def __init__(self, make: Callable[[], Iterable[T]], ahead: int) -> None:
        self._make = make
        self._queue: queue.Queue[tuple[bool, T | BaseException | None]] = queue.Queue(maxsize=ahead)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="page-reader", daemon=True)

    def __enter__(self) -> Prefetch[T]:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def __iter__(self) -> Iterator[T]:
        while True:
            is_item, value = self._queue.get()
            if is_item:
                yield value  # type: ignore[misc]
            elif isinstance(value, BaseException):
                raise value
            else:
                return

    def _run(self) -> None:
        last: tuple[bool, T | BaseException | None] = (False, None)
        try:
            items = iter(self._make())
            try:
                for item in items:
                    if not self._put((True, item)):
                        return
            finally:
                close = getattr(items, "close", None)
                if close is not None:
                    close()
        except BaseException as error:  # handed over to the consumer
            last = (False, error)
        self._put(last)

    def _put(self, entry: tuple[bool, T | BaseException | None]) -> bool:
        """Wait for room; ``False`` when the consumer has left."""
        while not self._stop.is_set():
            try:
                self._queue.put(entry, timeout=0.05)
            except queue.Full:
                continue
            return True
        return False
