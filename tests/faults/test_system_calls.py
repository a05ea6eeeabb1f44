"""``kill -9`` at system calls, the database's own included (long run; needs strace)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import workload
from tests.faults.checker import wrong
from tests.faults.conftest import ROOT, Zygote

CALLS = ("pwrite64", "write", "fsync", "fdatasync", "ftruncate", "rename", "unlink", "openat")
RUN = (
    "import sys; from pathlib import Path; from tests.faults import workload; workload.run(Path(sys.argv[1]))"
)


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS)
def test_killed_inside_the_database_nothing_acknowledged_is_lost(
    zygote: Zygote, fresh: Callable[..., Path], call: str
) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed: kills at single system calls were not tried")
    killed = 0
    at = 1 if call != "openat" else 200
    while True:
        root = fresh(at)
        rule = f"inject={call}:signal=SIGKILL:when={at}"
        command = [strace, "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", rule]
        command += [sys.executable, "-c", RUN, str(root)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert wrong(root) == [], f"after a kill at {call} number {at}"
        if done.returncode == 0:
            break
        killed += 1
        assert zygote.run(root)["error"] == ""
        assert workload.acknowledged(root) == len(workload.STEPS)
        assert wrong(root) == []
        at = max(at + 1, int(at * 1.3))
    assert killed >= 2 or call in ("ftruncate", "unlink", "fdatasync", "rename")
