"""Calibrating and comparing from the command line, with a tiny random model: plumbing and files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from hydra_rag_agents.facade import HydraRAG
from hydra_rag_agents.gate import Gate
from hydra_rag_agents.reader import ModelReader
from tests.api.conftest import Command, draw


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pages"
    made.mkdir()
    draw(made / "p.png", ["Invoice 1", "Total 41.00"])
    questions = [
        {"question": "Total?", "answer": "41.00", "boxes": [[60, 50, 90, 62]]},
        {"question": "Weight?", "answer": None, "boxes": []},
    ]
    line = json.dumps({"image": "p.png", "words": [], "questions": questions})
    (made / "pages.jsonl").write_text(line + "\n", encoding="utf-8")
    return made


def test_a_calibration_lands_beside_the_adapter(
    command: Command, tiny: Path, folder: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(tiny, tmp_path / "model"))
    ran = command("model", "calibrate", folder, "--model", model, "--json")
    assert ran.code == 0, ran.err
    path = model / "adapter" / "gaze.json"
    assert ran.json["path"] == str(path)
    assert json.loads(path.read_text(encoding="utf-8"))["layers"] == ran.json["layers"]
    out = tmp_path / "table.md"
    pictures = tmp_path / "images"
    options = ["--out", out, "--pictures", pictures, "--shown", 1]
    ran = command("model", "gaze", folder, "--model", model, *options, "--json")
    assert ran.code == 0, ran.err
    table = ran.json
    assert table["layers"] == json.loads(path.read_text(encoding="utf-8"))["layers"]
    assert table["samples"] == 1
    pairs = {(row["method"], row["filter"]) for row in table["rows"]}
    assert {("contrast", "none"), ("plain", "calibrated"), ("maxsim", "blank")} <= pairs
    assert len(pairs) == len(table["rows"])
    written = out.read_text(encoding="utf-8")
    assert written.count("\n| ") == 2 + len(pairs)
    assert written.endswith("![Total?](images/look-1.png)\n")
    with Image.open(pictures / "look-1.png") as drawn:
        assert drawn.width == 420


def test_a_gate_is_chosen_from_answered_questions_and_used_from_then_on(
    command: Command, tiny: Path, folder: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(tiny, tmp_path / "model"))
    ran = command("model", "calibrate", folder, "--model", model, "--gate", "--json")
    assert ran.code == 0, ran.err
    chosen = ran.json["gate"]
    assert {"sure", "min_enrichment", "min_zoom", "max_area", "max_entropy"} == set(chosen)
    assert json.loads((model / "adapter" / "gaze.json").read_text(encoding="utf-8"))["gate"] == chosen
    with HydraRAG(tmp_path / "store", str(model)) as rag:
        used = ModelReader(lambda: rag.model).gate
    assert used == Gate.of(chosen)
    # A random model answers nothing right, so that no gaze pays and the gate is shut.
    assert used.sure == 0.0
    elsewhere = tmp_path / "gaze.json"
    before = (model / "adapter" / "gaze.json").read_bytes()
    ran = command("model", "calibrate", folder, "--model", model, "--out", elsewhere, "--json")
    assert (ran.code, ran.json["gate"]) == (0, {})
    assert (model / "adapter" / "gaze.json").read_bytes() == before


def test_a_folder_without_boxes_is_told(command: Command, tiny: Path, folder: Path) -> None:
    (folder / "pages.jsonl").write_text('{"image": "p.png"}\n', encoding="utf-8")
    ran = command("model", "calibrate", folder, "--model", tiny, "--json")
    assert ran.code == 2
    assert "boxes" in ran.json["error"]["message"]


def test_a_model_that_writes_its_answers_has_none_to_choose(
    command: Command, tiny: Path, folder: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(tiny, tmp_path / "model"))
    ran = command("model", "answers", folder, "--model", model)
    assert ran.code == 2
    assert "chooses them among words" in ran.err
    assert not list(model.rglob("answers.json"))
