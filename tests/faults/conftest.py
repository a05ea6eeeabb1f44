"""The forking process, and how many points a run takes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from hydra_rag.store import Store
from tests.faults import workload
from tests.faults.checker import wrong

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.faults)


def long_run() -> bool:
    return os.environ.get("HYDRA_RAG_TEST_LONG") == "1"


def sample(points: Sequence[T], wanted: int, *, whole: bool = True) -> list[T]:
    """All points in a long run (unless ``whole`` is false), else ``wanted`` spread evenly."""
    if (whole and long_run()) or len(points) <= wanted:
        return list(points)
    return [points[i] for i in sorted({round(n * (len(points) - 1) / (wanted - 1)) for n in range(wanted)})]


class Zygote:
    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self,
        root: Path,
        *,
        at: int = 0,
        action: str = "kill",
        mutant: str | None = None,
        until: int | None = None,
        stopped: Callable[[int], None] | None = None,
    ) -> dict[str, Any]:
        """Run the workload's steps before ``until`` in ``root``; the fault comes at call ``at`` (0: no).

        ``stopped`` is given the process before it begins, stopped.
        """
        root.mkdir(parents=True, exist_ok=True)
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        job = {"root": str(root), "at": at, "action": action, "mutant": mutant, "until": until}
        job["stop"] = stopped is not None
        stdin.write(json.dumps(job) + "\n")
        stdin.flush()
        if stopped is not None:
            stopped(int(stdout.readline()))
        answer: dict[str, Any] = json.loads(stdout.readline())
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=20)
        self._process.stdout.close()


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    made = Zygote()
    yield made
    made.close()


@dataclass(frozen=True)
class Point:
    """Call ``at`` of step ``step`` of the workload, begun in a copy of ``before``."""

    step: int
    at: int
    name: str
    before: Path

    def __str__(self) -> str:
        return f"call {self.at} ({self.name}) of {workload.STEPS[self.step].name!r}"


@dataclass(frozen=True)
class Stages:
    """The workload, step by step: a folder as it was before each, and the calls that write in it."""

    folders: list[Path]
    logs: list[list[str]]

    @property
    def points(self) -> list[Point]:
        return [
            Point(step, at, name, self.folders[step])
            for step, log in enumerate(self.logs)
            for at, name in enumerate(log, 1)
        ]


def placed(memory: Path, source: Path | None) -> Path:
    """A copy of ``source`` where everything runs (documents know their paths), in place of the one before."""
    place = memory / "run"
    shutil.rmtree(place, ignore_errors=True)
    if source is not None:
        shutil.copytree(source, place)
    return place


def record(zygote: Zygote, memory: Path, name: str, start: Path, mutant: str | None = None) -> Stages:
    """Run the workload step by step from ``start``, keeping the state before every step."""
    folders, logs = [start], []
    for step in range(len(workload.STEPS)):
        root = placed(memory, folders[-1])
        answer = zygote.run(root, mutant=mutant, until=step + 1)
        assert (answer["status"], answer["error"]) == (0, "")
        if mutant is None:
            assert workload.acknowledged(root) == step + 1
            assert wrong(root) == []
        folders.append(memory / name / str(step + 1))
        shutil.copytree(root, folders[-1])
        logs.append(answer["log"])
    return Stages(folders[:-1], logs)


@pytest.fixture(scope="session")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory where there is a memory file system: killing a process does not need a disk."""
    shared = Path("/dev/shm")
    base = Path(tempfile.mkdtemp(dir=shared if shared.is_dir() else tmp_path_factory.mktemp("faults")))
    yield base
    shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="session")
def stages(zygote: Zygote, memory: Path) -> Stages:
    """From an empty store, made once: making one is attacked by a test of its own."""
    start = memory / "empty"
    Store.open(start / "store").close()
    return record(zygote, memory, "stages", start)


@pytest.fixture
def fresh(memory: Path) -> Callable[[Path | None], Path]:
    """``fresh(folder)``: a copy of it (``None``: a name where nothing is); the one before it is deleted."""
    return lambda source=None: placed(memory, source)
