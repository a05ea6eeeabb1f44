"""The time limit of a turn: what the model is asked inside a ``with`` block stops when the time is up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import Token

__all__ = ["Deadline"]


class Deadline:
    """``seconds`` from now on ``clock``. Enter it round calls of the model, never round a ``yield``.

    Work that is under way when the time is up ends with :class:`~hydra_rag.errors.CancelledError` before the
    model's next layer, as it does when the caller's own stop event is set.
    """

    def __init__(self, clock: Callable[[], float], seconds: float) -> None:
        self._clock = clock
        self._end = clock() + seconds
        self._token: Token[threading.Event | None] | None = None

    @property
    def passed(self) -> bool:
        return self._clock() >= self._end

    def __enter__(self) -> Deadline:
        from hydra_rag.scheduler import STOP

        self._token = STOP.set(_Either(STOP.get(), self))
        return self

    def __exit__(self, *_: object) -> None:
        from hydra_rag.scheduler import STOP

        assert self._token is not None
        STOP.reset(self._token)
        self._token = None


class _Either(threading.Event):
    """Set when the caller's event is set, or when the time is up."""

    def __init__(self, outer: threading.Event | None, deadline: Deadline) -> None:
        super().__init__()
        self._outer, self._deadline = outer, deadline

    def is_set(self) -> bool:
        return (self._outer is not None and self._outer.is_set()) or self._deadline.passed
