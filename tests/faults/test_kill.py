"""``kill -9``, power cuts and failing disks at every call that writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hydra_rag.errors import StoreError
from tests.faults import mutants, workload
from tests.faults.checker import wrong
from tests.faults.conftest import Zygote, long_run, sample
from tests.faults.points import cut_power

Fresh = Callable[..., Path]


def count_points(zygote: Zygote, root: Path, mutant: str | None = None) -> int:
    answer = zygote.run(root, mutant=mutant)
    assert (answer["status"], answer["error"]) == (0, "")
    if mutant is None:
        assert wrong(root) == []
        assert workload.acknowledged(root) == len(workload.STEPS)
    return int(answer["count"])


def killed(zygote: Zygote, root: Path, at: int, mutant: str | None = None) -> bool:
    """Whether call ``at`` was reached. Two threads write pages, so runs differ by a few calls, and one may
    be over before its last points; then it must have ended well.
    """
    answer = zygote.run(root, at=at, mutant=mutant)
    if answer["status"] == 0:
        assert answer["error"] == ""
        assert int(answer["count"]) < at
        return False
    assert answer["status"] == -9
    return True


def test_killed_anywhere_nothing_acknowledged_is_lost(zygote: Zygote, fresh: Fresh) -> None:
    points = count_points(zygote, fresh(0))
    assert points >= 200
    kills = 0
    for at in sample(points, 8):
        root = fresh(at)
        kills += killed(zygote, root, at)
        assert wrong(root) == [], f"after a kill at call {at} of {points}"
        assert zygote.run(root)["error"] == "", f"the run after a kill at call {at} did not complete"
        assert workload.acknowledged(root) == len(workload.STEPS)
        assert wrong(root) == [], f"in the run after a kill at call {at}"
    assert kills >= 6


def test_killed_while_the_store_is_made(zygote: Zygote, fresh: Fresh) -> None:
    whole = count_points(zygote, fresh(0, store=False))
    making = whole - count_points(zygote, fresh(0))
    for at in sample(making + 1, 3):
        root = fresh(at, store=False)
        killed(zygote, root, at)
        assert wrong(root) == []
        assert zygote.run(root)["error"] == ""
        assert wrong(root) == []


def test_power_lost_anywhere_nothing_acknowledged_is_lost(zygote: Zygote, fresh: Fresh) -> None:
    points = count_points(zygote, fresh(0))
    kills = 0
    for at in sample(points, 6):
        root = fresh(at)
        kills += killed(zygote, root, at)
        cut_power(root / "store")
        assert wrong(root) == [], f"after a power cut at call {at} of {points}"
        assert zygote.run(root)["error"] == ""
        assert wrong(root) == []
    assert kills >= 4


@pytest.mark.parametrize("action", ["EIO", "ENOSPC"])
def test_a_failing_disk_is_reported_and_nothing_is_lost(zygote: Zygote, fresh: Fresh, action: str) -> None:
    points = count_points(zygote, fresh(0))
    failed = 0
    for at in sample(points, 5):
        root = fresh(at)
        answer = zygote.run(root, at=at, action=action)
        assert answer["status"] == 0, "the process must live"
        failed += bool(answer["error"])
        assert wrong(root) == [], f"after {action} at call {at} of {points}: {answer['error'][-300:]}"
        assert zygote.run(root)["error"] == ""
        assert wrong(root) == []
    assert failed, "no point made the workload fail"


@pytest.mark.parametrize("name", sorted(mutants.MUTANTS))
def test_without_the_safeguard_the_checks_turn_red(zygote: Zygote, fresh: Fresh, name: str) -> None:
    points = count_points(zygote, fresh(0), mutant=name)
    # Around every commit is where the order of things shows.
    log = zygote.run(fresh(1), mutant=name)["log"]
    interesting = [i for i, call in enumerate(log, 1) if call in ("committed", "commit")]
    caught = []
    for at in [*interesting, *(sample(points, 10) if long_run() else ())]:
        root = fresh(100 + at)
        killed(zygote, root, at, mutant=name)
        if name in mutants.NEED_POWER_CUT:
            cut_power(root / "store")
        try:
            found = wrong(root)
        except StoreError as error:
            found = [error.message]
        if found:
            caught.append((at, found[0]))
            break
    assert caught, f"the mutant {name} was not noticed at any of {len(interesting)} commits"
