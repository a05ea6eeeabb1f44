"""Batches drawn in worker processes, so that rendering never waits for the model. Bounded and restartable."""

from __future__ import annotations

import multiprocessing as mp
import os
import queue
from collections.abc import Callable, Generator
from typing import Any, TypeVar

T = TypeVar("T")


def _work(make: Callable[[int], Any], start: int, step: int, out: Any, stop: Any) -> None:
    import torch

    torch.set_num_threads(1)
    index, parent = start, os.getppid()

    def alive() -> bool:
        return not stop.is_set() and os.getppid() == parent

    while alive():
        item = make(index)
        while alive():
            try:
                out.put(item, timeout=1)
                break
            except queue.Full:
                continue
        index += step


def feed(make: Callable[[int], T], *, first: int = 0, workers: int = 1, ahead: int = 6) -> Generator[T]:
    """Yield ``make(first)``, ``make(first + 1)`` ... (order within a worker), computed in ``workers``
    processes.

    ``make`` gets the batch's number as its seed. ``workers=0`` computes in this process.
    """
    if workers == 0:
        while True:
            yield make(first)
            first += 1
    context = mp.get_context("fork")
    out = context.Queue(ahead)
    stop = context.Event()
    children = [
        context.Process(target=_work, args=(make, first + i, workers, out, stop), daemon=True)
        for i in range(workers)
    ]
    for child in children:
        child.start()
    try:
        while True:
            try:
                yield out.get(timeout=120)
            except queue.Empty:
                if not any(c.is_alive() for c in children):
                    raise RuntimeError("all workers that draw training pages have died") from None
    finally:
        stop.set()
        for child in children:
            child.terminate()
