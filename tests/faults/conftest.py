"""The forking process, and how many points a run takes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hydra_rag.store import Store

ROOT = Path(__file__).resolve().parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.faults)


def long_run() -> bool:
    return os.environ.get("HYDRA_RAG_TEST_LONG") == "1"


def sample(points: int, wanted: int) -> list[int]:
    """Fault points 1 … ``points``: all in a long run, else ``wanted`` spread evenly."""
    if long_run() or points <= wanted:
        return list(range(1, points + 1))
    return sorted({1 + round(i * (points - 1) / (wanted - 1)) for i in range(wanted)})


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
        self, root: Path, *, at: int = 0, action: str = "kill", mutant: str | None = None
    ) -> dict[str, Any]:
        """Run the workload in ``root``; the fault comes at call ``at`` (0: never)."""
        root.mkdir(parents=True, exist_ok=True)
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"root": str(root), "at": at, "action": action, "mutant": mutant}) + "\n")
        stdin.flush()
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


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store, made once: making one is attacked by a test of its own."""
    folder = tmp_path_factory.mktemp("template")
    Store.open(folder / "store").close()
    return folder


@pytest.fixture
def fresh(tmp_path: Path, template: Path) -> Iterator[Any]:
    """``fresh(n)``: a new folder with an empty store; the one before it is deleted.

    In memory where there is a memory file system: killing a process does not need a disk.
    """
    memory = Path("/dev/shm")
    base = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else tmp_path))
    made: list[Path] = []

    def make(number: int, *, store: bool = True) -> Path:
        for folder in made:
            shutil.rmtree(folder, ignore_errors=True)
        made.append(base / f"run{number}")
        if store:
            shutil.copytree(template, made[-1])
        return made[-1]

    yield make
    shutil.rmtree(base, ignore_errors=True)
