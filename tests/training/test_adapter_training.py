"""Training an adapter on a user's pages with the real command, on a tiny random model of each family."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from hydra_rag import HydraModel
from hydra_rag.maxsim import maxsim_many
from hydra_rag.testing import FAMILIES, tiny_model
from hydra_rag_api.cli import run

WORDS = "alpha bravo delta gamma kilo lima oscar quebec".split()
_STEPS = 45


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages that differ at a glance, each with one query."""
    folder = tmp_path_factory.mktemp("pages")
    random = np.random.default_rng(4)
    rows, queries = [], []
    for number, word in enumerate(WORDS):
        image = Image.new("RGB", (112, 112), tuple(int(c) for c in random.integers(0, 255, 3)))
        left, top = (int(c) for c in random.integers(0, 60, 2))
        ImageDraw.Draw(image).rectangle((left, top, left + 40, top + 40), fill="black")
        image.save(folder / f"p{number}.png")
        rows.append({"image": f"p{number}.png", "words": [], "questions": []})
        queries.append({"query": word, "image": None, "relevant": [f"p{number}.png"]})
    for name, lines in (("pages", rows), ("queries", queries)):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return folder


def first_right(model: HydraModel, pages: Path) -> float:
    """Share of the queries whose best page is the right one."""
    images = [Image.open(pages / f"p{i}.png").convert("RGB") for i in range(len(WORDS))]
    stored = [vectors.vectors for vectors in model.embed_pages(images)]
    queries = model.embed_queries(WORDS)
    best = [int(np.argmax(maxsim_many(query.vectors, stored))) for query in queries]
    return float(np.mean([found == i for i, found in enumerate(best)]))


@pytest.mark.parametrize("family", FAMILIES)
def test_retrieval_rises_far_above_chance(
    family: str, pages: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = tiny_model(tmp_path / "model", family, adapter=False)
    out = tmp_path / "adapter"
    arguments = ["train", "adapter", str(pages), "--model", str(model), "--out", str(out), "--device", "cpu"]
    arguments += ["--steps", str(_STEPS), "--minutes", "0", "--dim", "32", "--rank", "16"]
    assert run([*arguments, "--json"]) == 0
    report = json.loads(capfd.readouterr().out)
    assert report["steps"] == _STEPS
    assert report["last_loss"] < 0.6 * report["first_loss"]
    with HydraModel.load(str(model), adapter=out, device="cpu") as trained:
        assert trained.dim == 32
        assert first_right(trained, pages) >= 0.5


def test_settings_of_the_command_are_kept_and_checked(
    pages: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = tiny_model(tmp_path / "model", "qwen2_vl", adapter=False)
    out = tmp_path / "adapter.v2"
    command = ["train", "adapter", str(pages), "--model", str(model), "--out", str(out), "--device", "cpu"]
    command += ["--json"]
    assert run([*command, "--minutes", "0"]) == 2, "it would never end"
    assert "steps" in capfd.readouterr().err
    assert run([*command, "--steps", "1", "--dim", "16", "--page-tokens", "9", "--lr", "0.001"]) == 0
    assert json.loads((out / "hydra.json").read_text())["page_tokens"] == 9
    assert not (tmp_path / "adapter.log").exists(), "the name of the log is the whole name of the folder"
    with HydraModel.load(str(model), adapter=out, device="cpu") as trained:
        assert len(trained.embed_pages([Image.new("RGB", (224, 224))])[0].vectors) <= 9
    assert run([*command, "--steps", "1", "--dim", "32"]) == 2
    assert "--dim 16" in capfd.readouterr().err
    assert run([*command, "--steps", "1"]) == 0, "goes on with what is there"
    assert json.loads((out / "hydra.json").read_text())["dim"] == 16
