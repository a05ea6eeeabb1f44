"""The container file and the systemd unit name things that exist, and what they start behaves as they say."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

from hydra_rag_api.server.limits import ServerSettings

ROOT = Path(__file__).parents[3]
CONTRIB = ROOT / "contrib"


def instructions() -> list[tuple[str, str]]:
    text = (CONTRIB / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def started(arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    code = "from hydra_rag_api.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={"PATH": os.environ["PATH"], **{k: v for k, v in os.environ.items() if k == "PYTHONPATH"}}
        | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_container_installs_what_there_is() -> None:
    made = instructions()
    stages = [rest.split(" AS ")[1] for word, rest in made if word == "FROM" and " AS " in rest]
    for word, rest in made:
        if word == "COPY":
            source = rest.split()[1] if rest.startswith("--from=") else rest.split()[0]
            stage = re.match(r"--from=(\S+)", rest)
            assert stage is None or stage.group(1) in stages
            assert stage is not None or (ROOT / source).exists()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    given = dict(rest.split("=", 1) for word, rest in made if word == "ARG")
    assert '".[$EXTRAS]"' in " ".join(rest for word, rest in made if word == "RUN")
    assert set(given["EXTRAS"].split(",")) <= set(project["optional-dependencies"])
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert {".git", ".venv"} <= set(ignored)
    (entry,) = [json.loads(rest) for word, rest in made if word == "ENTRYPOINT"]
    assert entry[0] in project["scripts"]


def test_the_container_asks_for_a_key_and_keeps_it_in_its_volume(tmp_path: Path) -> None:
    (command,) = [json.loads(rest) for word, rest in instructions() if word == "CMD"]
    home = {"HYDRA_RAG_HOME": str(tmp_path)}
    refused = started(command, **home)
    assert refused.returncode == 2
    assert "hydra-rag keys create" in refused.stderr
    made = started(["keys", "create", "--tenant", "default", "--json"], **home)
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "store").is_dir()


def test_the_unit_gives_answers_their_time_and_allows_its_folder() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(CONTRIB / "hydra-rag.service", encoding="utf-8")
    service = unit["Service"]
    drain = ServerSettings().drain_seconds  # type: ignore[call-arg]
    assert float(service["TimeoutStopSec"]) >= drain + 10
    assert shlex.split(service["ExecStart"])[1:] == ["serve"]
    assert service["Environment"] == f"HYDRA_RAG_HOME=/var/lib/{service['StateDirectory']}"
