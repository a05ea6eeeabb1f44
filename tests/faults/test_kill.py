"""``kill -9``, power cuts and failing disks at every call that writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hydra_rag.errors import HydraError
from tests.faults import mutants, workload
from tests.faults.checker import wrong
from tests.faults.conftest import Point, Stages, Zygote, long_run, record, sample
from tests.faults.points import cut_power

Fresh = Callable[..., Path]


def killed(zygote: Zygote, root: Path, point: Point, mutant: str | None = None) -> bool:
    """Whether the call was reached. Two threads write pages, so runs differ by a few calls, and one may be
    over before its last points; then it must have ended well.
    """
    answer = zygote.run(root, at=point.at, mutant=mutant, until=point.step + 1)
    if answer["status"] == 0:
        assert answer["error"] == ""
        assert int(answer["count"]) < point.at
        return False
    assert answer["status"] == -9
    return True


def goes_on(zygote: Zygote, root: Path, point: Point, number: int) -> None:
    """The interrupted step can be completed; every tenth time all that follow it, too."""
    until = len(workload.STEPS) if number % 10 == 0 else point.step + 1
    answer = zygote.run(root, until=until)
    assert answer["error"] == "", f"the run after a fault at {point} did not complete"
    assert workload.acknowledged(root) == until
    assert wrong(root) == [], f"in the run after a fault at {point}"


def test_killed_anywhere_nothing_acknowledged_is_lost(zygote: Zygote, stages: Stages, fresh: Fresh) -> None:
    assert len(stages.points) >= 300
    kills = 0
    for number, point in enumerate(sample(stages.points, 10)):
        root = fresh(point.before)
        kills += killed(zygote, root, point)
        assert wrong(root) == [], f"after a kill at {point}"
        goes_on(zygote, root, point, number)
    assert kills >= (300 if long_run() else 8)


def test_killed_while_the_store_is_made(zygote: Zygote, memory: Path, fresh: Fresh) -> None:
    answer = zygote.run(fresh(), until=1)
    assert (answer["status"], answer["error"]) == (0, "")
    points = [Point(0, at, name, memory) for at, name in enumerate(answer["log"], 1)]
    for number, point in enumerate(sample(points, 3)):
        root = fresh()
        killed(zygote, root, point)
        assert wrong(root) == []
        goes_on(zygote, root, point, number)


def test_power_lost_anywhere_nothing_acknowledged_is_lost(
    zygote: Zygote, stages: Stages, fresh: Fresh
) -> None:
    kills = 0
    for number, point in enumerate(sample(stages.points, 8)):
        root = fresh(point.before)
        kills += killed(zygote, root, point)
        cut_power(root / "store")
        assert wrong(root) == [], f"after a power cut at {point}"
        goes_on(zygote, root, point, number)
    assert kills >= (300 if long_run() else 6)


@pytest.mark.parametrize("action", ["EIO", "ENOSPC"])
def test_a_failing_disk_is_reported_and_nothing_is_lost(
    zygote: Zygote, stages: Stages, fresh: Fresh, action: str
) -> None:
    failed = 0
    for number, point in enumerate(sample(stages.points, 6)):
        root = fresh(point.before)
        answer = zygote.run(root, at=point.at, action=action, until=point.step + 1)
        assert answer["status"] == 0, "the process must live"
        failed += bool(answer["error"])
        assert wrong(root) == [], f"after {action} at {point}: {answer['error'][-300:]}"
        goes_on(zygote, root, point, number)
    assert failed, "no point made the workload fail"


def test_without_care_for_disk_errors_the_checks_turn_red(
    zygote: Zygote, stages: Stages, fresh: Fresh
) -> None:
    [name] = mutants.NEED_FAILING_DISK
    for point in (p for p in stages.points if p.name == "replace"):
        root = fresh(point.before)
        zygote.run(root, at=point.at, action="EIO", mutant=name, until=point.step + 1)
        if wrong(root):
            return
    pytest.fail(f"the mutant {name} was not noticed")


@pytest.mark.parametrize("name", sorted(set(mutants.MUTANTS) - set(mutants.NEED_FAILING_DISK)))
def test_without_the_safeguard_the_checks_turn_red(
    zygote: Zygote, stages: Stages, memory: Path, fresh: Fresh, name: str
) -> None:
    mutated = record(zygote, memory, name, stages.folders[0], mutant=name)
    # Around every commit is where the order of things shows.
    points = [p for p in mutated.points if p.name in ("committed", "commit")]
    caught = ""
    for point in points + (sample(mutated.points, 10, whole=False) if long_run() else []):
        root = fresh(point.before)
        killed(zygote, root, point, mutant=name)
        if name in mutants.NEED_POWER_CUT:
            cut_power(root / "store")
        try:
            found = wrong(root)
        except HydraError as error:
            found = [error.message]
        if found:
            caught = f"{point}: {found[0]}"
            break
    assert caught, f"the mutant {name} was not noticed at any of {len(points)} commits"
