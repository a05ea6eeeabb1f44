"""``kill -9`` at system calls, the database's own included (long run; needs strace)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import workload
from tests.faults.checker import wrong
from tests.faults.conftest import Zygote, long_run

CALLS = ("pwrite64", "write", "fsync", "fdatasync", "ftruncate", "rename", "unlink", "openat")


def traced(zygote: Zygote, root: Path, strace: str, call: str, at: int) -> int:
    """Run the whole workload in ``root``, killed at a thread's ``at``-th such call; returns its status."""

    def attach(pid: int) -> None:
        while _status(pid, "State").split()[0] != "T":
            time.sleep(0.01)
        rule = f"inject={call}:signal=SIGKILL:when={at}"
        command = [strace, "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", rule, "-p", str(pid)]
        tracers.append(subprocess.Popen(command, stderr=subprocess.PIPE))
        while _status(pid, "TracerPid") == "0":
            assert tracers[0].poll() is None, "strace may not trace here"
            time.sleep(0.01)
        os.kill(pid, signal.SIGCONT)

    tracers: list[subprocess.Popen[bytes]] = []
    status = int(zygote.run(root, stopped=attach)["status"])
    tracers[0].communicate(timeout=60)
    return status


def _status(pid: int, name: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:"))


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS)
def test_killed_inside_the_database_nothing_acknowledged_is_lost(
    zygote: Zygote, fresh: Callable[..., Path], call: str
) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed: kills at single system calls were not tried")
    killed, at = 0, 1
    while True:
        root = fresh()
        root.mkdir()
        status = traced(zygote, root, strace, call, at)
        assert wrong(root) == [], f"after a kill at {call} number {at}"
        if status == 0:
            break
        assert status == -signal.SIGKILL
        killed += 1
        assert zygote.run(root)["error"] == ""
        assert workload.acknowledged(root) == len(workload.STEPS)
        assert wrong(root) == []
        at = max(at + 1, int(at * (1.3 if long_run() else 3)))
    assert killed >= 2 or call in ("ftruncate", "unlink", "fdatasync", "rename")
