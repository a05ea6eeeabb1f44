"""Who waits for a first piece of an answer waits for little."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from typing import Any

import pytest

from hydra_rag.scheduler import Scheduler


def held(scheduler: Scheduler, *jobs: Any) -> None:
    """Submit while the device is busy, so that all of them wait together; then wait for all."""
    start = threading.Event()

    def gate() -> Generator[None, None, None]:
        start.wait()
        yield

    first = scheduler.submit("chat", gate)
    waiting = [scheduler.submit(kind, steps) for kind, steps in jobs]
    start.set()
    for job in (first, *waiting):
        job.result()
    scheduler.close()


def test_a_chat_keeps_its_turn_until_it_has_something_to_show() -> None:
    order: list[str] = []

    def answer(name: str) -> Generator[bool, None, None]:
        for piece in (False, False, True, True):
            order.append(name)
            yield piece

    held(Scheduler(), ("chat", lambda: answer("a")), ("chat", lambda: answer("b")))
    assert order == ["a", "a", "a", "b", "b", "b", "a", "b"]


def test_a_long_wait_for_a_first_piece_gives_others_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hydra_rag.scheduler.TURN_SECONDS", 0.01)
    order: list[str] = []

    def slow() -> Generator[None, None, None]:
        for _ in range(4):
            order.append("slow")
            time.sleep(0.006)
            yield

    def quick() -> Generator[bool, None, None]:
        order.append("quick")
        yield True

    held(Scheduler(), ("chat", slow), ("chat", quick))
    assert order == ["slow", "slow", "quick", "slow", "slow"]


@pytest.mark.parametrize("patience", [0.0, 10.0])
def test_bulk_stands_back_a_while_for_a_first_piece(patience: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hydra_rag.scheduler.PATIENCE_SECONDS", patience)
    order: list[str] = []

    def bulk() -> Generator[None, None, None]:
        for _ in range(6):
            order.append("bulk")
            time.sleep(0.001)
            yield

    def answer() -> Generator[bool, None, None]:
        for piece in range(8):
            order.append("first" if piece < 4 else "later")
            time.sleep(0.004)
            yield piece >= 3

    held(Scheduler(), ("bulk", bulk), ("chat", answer))
    until = order[: len(order) - order[::-1].index("first")]
    assert ("bulk" in until) is (patience == 0.0)
    assert "bulk" in order[: len(order) - order[::-1].index("later")]
