"""Requests made from the API's own description, by a program that knows nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.server.conftest import Running

pytest.importorskip("schemathesis")
LONG = os.environ.get("HYDRA_RAG_TEST_LONG") == "1"


def test_no_server_error_and_no_answer_against_the_schema(running: Running, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"]
    options = ["--max-examples", "30"] if LONG else ["--max-examples", "1"]
    options += ["--phases", "examples,coverage,fuzzing" if LONG else "examples"]
    # Not every text of the right form is an image, and some requests contradict the store's state.
    options += ["--exclude-checks", "positive_data_acceptance", "--request-timeout", "30"]
    done = subprocess.run(
        [*command, "run", f"{running.url}/openapi.json", *options],
        capture_output=True,
        text=True,
        timeout=3000,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
