"""The command line in this process: exit code, stdout and stderr of a call; a store with two pages."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from hydra_rag.testing import tiny_model
from hydra_rag_api.cli import run


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)


Command = Callable[..., Ran]


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    def call(*args: object) -> Ran:
        capfd.readouterr()
        code = run([str(arg) for arg in args])
        captured = capfd.readouterr()
        return Ran(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny_model(tmp_path_factory.mktemp("model") / "tiny", "qwen2_vl")
    facts = folder / "adapter" / "hydra.json"
    spec = json.loads(facts.read_text(encoding="utf-8"))
    spec["reader"] = {"max_new_tokens": 8}  # random models never stop by themselves
    facts.write_text(json.dumps(spec), encoding="utf-8")
    return folder


def draw(path: Path, lines: list[str]) -> Path:
    image = Image.new("RGB", (300, 200), "white")
    for row, line in enumerate(lines):
        ImageDraw.Draw(image).text((20, 20 + 30 * row), line, fill="black")
    image.save(path)
    return path


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> tuple[Path, Path]:
    """A folder with two documents, and a store in which they are indexed."""
    root = tmp_path_factory.mktemp("made")
    docs = root / "docs"
    docs.mkdir()
    draw(docs / "one.png", ["Invoice 204", "Total 41.00"])
    (docs / "two.txt").write_text("Delivery terms\nGoods come back within 30 days\n", encoding="utf-8")
    code = run(
        ["ingest", str(docs), "--store", str(root / "store"), "--model", str(tiny), "-q", "--ocr", "never"]
    )
    assert code == 0
    return docs, root / "store"


@pytest.fixture
def store(made: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of the indexed store, free to change."""
    return Path(shutil.copytree(made[1], tmp_path / "copy"))
