"""A small process that forks workloads: everything is imported once, each fault point costs a fork.

Reads JSON lines ``{"root", "at", "action", "mutant", "until", "stop"}``, answers
``{"status", "count", "log", "error"}``. With ``stop`` the child stops before it begins, and a line with its
process id comes first: whoever sent the job lets it go on.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path

# Imported before the fork, so that a child begins at once.
import alembic.command  # noqa: F401
import torch  # noqa: F401
from PIL import PngImagePlugin  # noqa: F401

import hydra_rag_indexing.compaction
import hydra_rag_indexing.files.discovery
import hydra_rag_indexing.integrity
import hydra_rag_indexing.reindex  # noqa: F401
import hydra_rag_migrations.runner  # noqa: F401
from tests.faults import mutants, workload
from tests.faults.points import Points

_SET_PTRACER = 0x59616D61  # a tracer need not be an ancestor, where the system asks for that


def child(root: Path, at: int, action: str, mutant: str | None, until: int | None) -> None:
    points = Points(root / "store", at, action)
    if mutant is not None:
        mutants.MUTANTS[mutant](points)
    points.install()
    error = ""
    try:
        workload.run(root, until)
    except BaseException:
        error = traceback.format_exc()
    points.save()
    with os.fdopen(os.open(root / "result", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "w") as out:
        json.dump({"count": points.count, "log": points.log, "error": error}, out)


def main() -> None:
    with tempfile.TemporaryDirectory() as warm:
        workload.run(Path(warm))  # what is learned the first time, every child has from the start
    for line in sys.stdin:
        job = json.loads(line)
        root = Path(job["root"])
        (root / "result").unlink(missing_ok=True)
        pid = os.fork()
        if pid == 0:
            sys.stdin.close()
            if job["stop"]:
                ctypes.CDLL(None).prctl(_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)
                os.kill(os.getpid(), signal.SIGSTOP)
            child(root, job["at"], job["action"], job["mutant"], job["until"])
            os._exit(0)
        if job["stop"]:
            print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        answer = {"status": os.waitstatus_to_exitcode(status), "count": 0, "log": [], "error": ""}
        if (root / "result").exists():
            answer |= json.loads((root / "result").read_text())
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
