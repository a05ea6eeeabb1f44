"""Requests made from the API's own description, by a program that knows nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.api.server.conftest import Running

#: A form's file has no type: what is meant as "not a file" (null, a number) arrives as the bytes of one.
CONFIG = """
[[operations]]
include-name = ["POST /api/documents", "POST /v1/files"]
checks.negative_data_rejection.enabled = false
"""
LONG = os.environ.get("HYDRA_RAG_TEST_LONG") == "1"


def test_no_server_error_and_no_answer_against_the_schema(running: Running, tmp_path: Path) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG, encoding="utf-8")
    command = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"]
    command += ["--config-file", str(config)]
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
    print(done.stdout[-4000:])  # how many cases there were: pytest -rP
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
