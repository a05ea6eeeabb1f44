"""Gaze with tiny random models of every family over a real store: stored, replayed, drawn; rows are right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageDraw

from hydra_rag.geometry import Box
from hydra_rag.model import HydraModel
from hydra_rag.saliency.maps import SaliencyMap
from hydra_rag_agents import HydraRAG
from hydra_rag_agents.reader import ModelReader
from hydra_rag_agents.state import AskSettings, ReaderProfile
from tests.hydra_rag.conftest import engine, family, folders, load_plain

__all__ = ["engine", "family", "folders"]

SIZE = (420, 300)


class Reader(ModelReader):
    """The tiny model as a small reader (one image a prompt) or as one that takes several."""

    def __init__(self, model: HydraModel, *, beside: bool) -> None:
        super().__init__(lambda: model)
        self._profile = ReaderProfile(
            style="instruct" if beside else "nano",
            image_tokens=model.processor.answer_tokens,
            max_new_tokens=6,
            threshold=0.0,
            beside=beside,
            crop_scale=2.0,
            context=(0.4, 0.2),
        )


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    for name, lines in (("a", ["Invoice 204", "Total 41.00"]), ("b", ["Weight 1.06 kg", "Power 1700 W"])):
        image = Image.new("RGB", SIZE, "white")
        for row, line in enumerate(lines):
            ImageDraw.Draw(image).text((20 + 200 * row, 20 + 150 * row), line, fill="black")
        image.save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def rag(engine: HydraModel, pages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HydraRAG]:
    store = tmp_path_factory.mktemp("store")
    with HydraRAG(store, load=lambda: engine, reader=Reader(engine, beside=False)) as made:
        made.ingest(pages, ocr="never")
        yield made
        made._model = None  # the model is shared by the tests: leave it open


def steps(result: Any, action: str) -> list[dict[str, Any]]:
    return [step.to_json() for step in result.steps if step.action == action]


@pytest.mark.parametrize("beside", [False, True])
def test_a_gazed_answer_is_cited_stored_replayed_and_drawn(
    rag: HydraRAG, engine: HydraModel, beside: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rag, "_reader", Reader(engine, beside=beside))
    result = rag.ask("What is the total?", gaze="always", pages=1, k=2, explain=tmp_path / "out")
    looks = [s for s in steps(result, "glance") if "look" in s]
    gazes = steps(result, "gaze")
    assert looks
    assert gazes
    for gaze in gazes:
        for box in (*gaze["boxes"], *gaze["crops"]):
            assert Box(*box) == Box(*box).clip(*SIZE)
        assert gaze["beside_page"] is beside
    assert any("check" in s for s in steps(result, "reflect"))
    for citation in result.answer.citations:
        assert citation.box is not None
        assert citation.box == citation.box.clip(*SIZE)
    assert [turn["same"] for turn in rag.replay(result.session_id)] == [True]
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    gazed = next(p for p in report["pages"] if p["heat"] == "gaze")
    pictures = [gazed["picture"], *gazed["crops"], *gazed["gazes"]]
    assert gazed["gazes"]
    for name in pictures:
        with Image.open(tmp_path / "out" / name) as picture:
            assert picture.width > 1


def test_never_makes_no_look_and_fewer_tokens(rag: HydraRAG) -> None:
    def tokens(gaze: str) -> int:
        result = rag.ask("What is the total?", gaze=gaze, pages=1, k=1)
        return sum(s.to_json().get("prompt_tokens", 0) for s in result.steps)

    assert 0 < tokens("never") < tokens("always")


def test_own_images_are_searched_with_their_crop(rag: HydraRAG, pages: Path) -> None:
    image = pages / "a.png"
    hits, traced = rag.search_steps("the total", image=image, mode="visual", gaze="always")
    assert [s["action"] for s in traced] == ["glance", "search"]
    assert len(hits) == 2
    assert [hit.rank for hit in hits] == [1, 2]
    _, traced = rag.search_steps("the total", image=image, mode="visual", gaze="never")
    assert [s["action"] for s in traced] == ["search"]
    result = rag.ask("What is this?", image=image, gaze="always", pages=1)
    assert result.steps[0].to_json()["own_image"] is True
    assert [turn["same"] for turn in rag.replay(result.session_id)] == [True]


def test_rows_of_a_gaze_prompt_equal_eager_attention(
    engine: HydraModel, family: str, folders: dict[str, Path], pages: Path
) -> None:
    """The prompt of a gaze has a page and a crop of another size: the rows that a look at it would read."""
    with Image.open(pages / "a.png") as opened:
        page = opened.convert("RGB")
    crop = page.crop((10, 10, 200, 60)).resize((380, 100))
    blocks = [{"type": "image", "image": page}, {"type": "image", "image": crop}]
    messages = [{"role": "user", "content": [*blocks, {"type": "text", "text": "What is the total?"}]}]
    eager = load_plain(family, folders[family], attn_implementation="eager")
    prompt = engine.processor.chat(messages)
    out = eager(**prompt.tensors(), output_attentions=True, use_cache=False)
    truth = torch.stack([a[0, :, -1:] for a in out.attentions])
    made = engine.attend(messages)
    torch.testing.assert_close(made.rows, truth, atol=1e-5, rtol=0)
    assert len(made.image_spans) == 2


def test_settings_with_gaze_survive_the_store(rag: HydraRAG) -> None:
    chosen = AskSettings(gaze="always", pages=1, k=1)
    result = rag.ask("What is the total?", settings=chosen)
    stored = rag.conversation.turns(result.session_id)[0]
    assert AskSettings.from_json(stored.settings) == replace(chosen)


def test_the_map_of_a_step_can_be_read_back(rag: HydraRAG, engine: HydraModel, pages: Path) -> None:
    result = rag.ask("What is the total?", gaze="always", pages=1, k=1)
    told = next(s for s in steps(result, "glance") if "look" in s)["look"]
    again = SaliencyMap.from_json(told["map"])
    width, height = SIZE
    assert again.grid == engine.processor.grid(width, height)
    assert again.peak == again.grid.cell_at(*told["peak"], width, height)
