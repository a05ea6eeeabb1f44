"""One thread owns the device; requests run on it in slices.

A job is a generator: between two ``yield`` statements it has the device for itself, and nothing is held
across a ``yield``. Chat jobs (decode steps, attention rows, query embedding) go first; bulk jobs (page
embedding) are kept alive by a guaranteed share of the device time. A bulk slice can be long (a whole page
through the model), so :meth:`Scheduler.poll`, called before every layer, lets waiting chat slices run in
between the layers of a bulk slice, and stops a cancelled job within one layer.

Whoever waits for the first piece of an answer waits for as little as possible: a chat job keeps its turn
until it has something to show, which it tells by yielding something true, and until then bulk work may fall
behind its share a little. Answers that are being written take turns, a piece each.

Context variables of the caller are carried into the job. An error, out of memory included, ends the one
job that raised it.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, Generic, Literal, TypeVar

from hydra_rag.errors import CancelledError, ModelError

__all__ = ["STOP", "Job", "Kind", "Scheduler", "in_turn"]

T = TypeVar("T")
N = TypeVar("N")
Kind = Literal["chat", "bulk"]
WINDOW_SECONDS = 4.0
#: Device time for which a chat job keeps its turn with nothing to show; then the others have theirs.
TURN_SECONDS = 0.5
#: Device time by which bulk work may be behind its share while somebody waits for a first piece. Well below
#: its share of a window, so that a stream of short questions does not stop it.
PATIENCE_SECONDS = 0.5
#: A caller may set an event here: every job submitted in that context stops once the event is set, from
#: whichever thread (a client that went away, a server that stops).
STOP: contextvars.ContextVar[threading.Event | None] = contextvars.ContextVar("hydra_stop", default=None)


class Job(Generic[T]):
    """One submitted request. Made by :meth:`Scheduler.submit`."""

    def __init__(self, kind: Kind, steps: Callable[[], Generator[object, None, T]]) -> None:
        self.kind = kind
        #: Whether its last slice had something to show, and whether any had.
        self.gave, self.started = False, False
        self._steps = steps
        self._generator: Generator[object, None, T] | None = None
        self._context = contextvars.copy_context()
        self._stop = STOP.get()
        self._future: Future[T] = Future()
        self._cancelled = False

    def cancel(self) -> None:
        """Ask the job to stop; it does before its next layer. Safe from any thread, any number of times."""
        self._cancelled = True

    @property
    def cancelled(self) -> bool:
        return self._cancelled or (self._stop is not None and self._stop.is_set())

    def when_done(self, action: Callable[[], object]) -> None:
        """Call ``action`` when the job has ended, however it ended; it must not raise."""
        self._future.add_done_callback(lambda _: action())

    @property
    def done(self) -> bool:
        return self._future.done()

    def result(self) -> T:
        """Wait for the job. Raises what the job raised; an interrupt of the waiting thread cancels it."""
        try:
            return self._future.result()
        except BaseException:
            self.cancel()
            raise

    def step(self, convert: Callable[[BaseException], BaseException]) -> bool:
        """Run one slice; true when the job has ended."""
        try:
            if self.cancelled:
                raise CancelledError("the request was cancelled")
            if self._generator is None:
                self._generator = self._steps()
            self.gave = bool(self._context.run(next, self._generator))
            self.started = self.started or self.gave
        except StopIteration as stop:
            self._finish(value=stop.value)
        except BaseException as error:
            self._finish(error=convert(error))
        else:
            return False
        return True

    def _finish(self, *, value: Any = None, error: BaseException | None = None) -> None:
        generator, self._generator = self._generator, None
        if generator is not None:
            self._context.run(generator.close)
        if error is None:
            self._future.set_result(value)
        else:
            self._future.set_exception(error)


def in_turn(jobs: Iterable[tuple[N, Job[T]]], most: int = 2) -> Iterator[tuple[N, T]]:
    """The results of submitted jobs in their order, each with the name it came with.

    ``jobs`` makes the next one while the last ones run, ``most`` of them at a time: the device goes on while
    the caller prepares. An error, or leaving early, cancels those under way.
    """
    under_way: deque[tuple[N, Job[T]]] = deque()
    coming = iter(jobs)
    try:
        for named in coming:
            under_way.append(named)
            if len(under_way) == most:
                name, job = under_way.popleft()
                yield name, job.result()
        while under_way:
            name, job = under_way.popleft()
            yield name, job.result()
    finally:
        for _, job in under_way:
            job.cancel()
        if isinstance(coming, Generator):  # it may have jobs of its own under way
            coming.close()


class Scheduler:
    """The device's owner thread, started with the first job.

    ``bulk_share``: part of the device time that bulk work gets while chat work waits, 0.0 to 1.0.
    ``capacity``: jobs that may be under way; a further :meth:`submit` waits for a free place.
    """

    def __init__(
        self,
        *,
        bulk_share: float = 0.25,
        capacity: int = 256,
        convert: Callable[[BaseException], BaseException] = lambda error: error,
        on_start: Callable[[], object] = lambda: None,
    ) -> None:
        self._share = bulk_share
        self._convert = convert
        self._on_start = on_start
        self._places = threading.BoundedSemaphore(capacity)
        self._ready: dict[Kind, deque[Job[Any]]] = {"chat": deque(), "bulk": deque()}
        self._busy: dict[Kind, float] = {"chat": 0.0, "bulk": 0.0}
        self._booked = 0.0
        self._turn = 0.0
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._ident: int | None = None
        self._running: list[Job[Any]] = []
        self._closed = False

    def submit(self, kind: Kind, steps: Callable[[], Generator[object, None, T]]) -> Job[T]:
        """Queue a job. From inside a job it runs at once, to its end, as a part of that job."""
        job = Job(kind, steps)
        if threading.get_ident() == self._ident:
            while not job.step(self._convert):
                pass
            return job
        self._places.acquire()
        with self._wake:
            if self._closed:
                self._places.release()
                raise ModelError("the model is closed; load it again")
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="hydra-model", daemon=True)
                self._thread.start()
            self._ready[kind].append(job)
            self._wake.notify()
        return job

    def run(self, kind: Kind, steps: Callable[[], Generator[object, None, T]]) -> T:
        """Submit and wait."""
        return self.submit(kind, steps).result()

    def poll(self) -> None:
        """Called before every layer, by any thread: yields to chat work, stops a cancelled job."""
        if threading.get_ident() != self._ident or not self._running:
            return
        job = self._running[-1]
        if job.cancelled:
            raise CancelledError("the request was cancelled")
        self._charge(job.kind)
        # Nested on purpose: the layers of a bulk slice wait on the stack, chat slices never wait for them.
        while job.kind == "bulk" and self._ready["chat"] and not self._bulk_is_owed():
            self._slice("chat")

    def close(self) -> None:
        """Cancel everything and stop the thread; waits for it unless called from a job."""
        with self._wake:
            self._closed = True
            for job in (*self._ready["chat"], *self._ready["bulk"], *self._running):
                job.cancel()
            self._wake.notify()
        if self._thread is not None and threading.get_ident() != self._ident:
            self._thread.join()

    def _charge(self, kind: Kind | None) -> None:
        """Book the time since the last booking on ``kind`` (``None``: on nobody)."""
        now = time.perf_counter()
        if kind is not None:
            self._busy[kind] += now - self._booked
            if sum(self._busy.values()) > WINDOW_SECONDS:  # old turns fade
                self._busy = {name: spent / 2 for name, spent in self._busy.items()}
        self._booked = now

    def _bulk_is_owed(self) -> bool:
        """Asked only while chat work waits."""
        debt = self._share * (self._busy["chat"] + self._busy["bulk"]) - self._busy["bulk"]
        with self._wake:
            fresh = any(not job.started for job in self._ready["chat"])
        return debt > (PATIENCE_SECONDS if fresh else 0.0)

    def _loop(self) -> None:
        self._ident = threading.get_ident()
        self._on_start()
        while True:
            with self._wake:
                while not (self._ready["chat"] or self._ready["bulk"] or self._closed):
                    self._wake.wait()
                if not (self._ready["chat"] or self._ready["bulk"]):
                    return
                both = bool(self._ready["chat"] and self._ready["bulk"])
                if not both:  # shares are only counted while the two kinds compete
                    self._busy = {"chat": 0.0, "bulk": 0.0}
            if self._ready["bulk"] and (not self._ready["chat"] or (both and self._bulk_is_owed())):
                self._slice("bulk")
            else:
                self._slice("chat")

    def _slice(self, kind: Kind) -> None:
        with self._wake:
            job = self._ready[kind].popleft()
        self._charge(self._running[-1].kind if self._running else None)
        began = self._booked
        self._running.append(job)
        try:
            ended = job.step(self._convert)
        finally:
            self._running.pop()
            self._charge(kind)
        if ended:
            self._turn = 0.0
            self._places.release()
            return
        keeps = False
        if kind == "chat":
            self._turn += self._booked - began
            keeps = not job.gave and self._turn < TURN_SECONDS
            self._turn = self._turn if keeps else 0.0
        with self._wake:
            if keeps:
                self._ready[kind].appendleft(job)
            else:
                self._ready[kind].append(job)
