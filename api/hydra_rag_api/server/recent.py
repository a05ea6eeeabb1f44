"""What was made or seen lately, bounded: the one cache of the server."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["Recent"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """The values that were used last, up to a sum of ``most`` over their ``weight`` (default: one each).

    Safe to share between threads. Keys of what belongs to a tenant hold the tenant.
    """

    def __init__(self, most: int, weight: Callable[[V], int] = lambda value: 1) -> None:
        self._most, self._weight = most, weight
        self._known: OrderedDict[K, V] = OrderedDict()
        self._sum = 0
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        with self._lock:
            found = self._known.get(key)
            if found is not None:
                self._known.move_to_end(key)
            return found

    def put(self, key: K, value: V) -> None:
        with self._lock:
            if (old := self._known.pop(key, None)) is not None:
                self._sum -= self._weight(old)
            if self._weight(value) > self._most:
                return
            self._known[key] = value
            self._sum += self._weight(value)
            while self._sum > self._most:
                self._sum -= self._weight(self._known.popitem(last=False)[1])

    def get_or_make(self, key: K, make: Callable[[], V]) -> V:
        """``make`` is called outside the lock: two threads may both make a value, and one is kept."""
        found = self.get(key)
        if found is None:
            found = make()
            self.put(key, found)
        return found
