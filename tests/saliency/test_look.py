"""Looking with real (tiny, random) models: forked probes equal plain passes, maps fit the images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hydra_rag.errors import ModelError, UsageError
from hydra_rag.geometry import Box
from hydra_rag.model import HydraModel
from hydra_rag.saliency.calibrate import Sample, calibrate
from hydra_rag.saliency.calibration import (
    FILE,
    GENERIC,
    Calibration,
    band,
    calibration_for,
    calibration_path,
)
from hydra_rag.saliency.filters import FILTERS
from hydra_rag.saliency.gather import Ask, run_passes
from hydra_rag.saliency.methods import METHODS
from hydra_rag.saliency.probes import look, look_at_all, record, word_positions
from tests.hydra_rag.conftest import ask, load_plain, noise

IMAGES = (noise(150, 100), noise(70, 170, 1))
EVERYTHING = {n for m in METHODS.values() for n in m.needs} | {n for f in FILTERS.values() for n in f.needs}


def layers_of(engine: HydraModel) -> tuple[int, ...]:
    return engine.profile.attention_layers(engine.base_model.config)


def test_forked_rows_equal_a_plain_pass(engine: HydraModel) -> None:
    messages = [ask(*IMAGES, text=text) for text in ("Where is the total?", "Describe it.")]
    prompts = [engine.processor.chat(one) for one in messages]
    asks = [Ask(p, (len(p) - 1, len(p) - 4)) for p in prompts]
    layers = layers_of(engine)
    made = run_passes(engine, asks, layers, gradient=True, sinks=True, values=True)
    for rows, one in zip(made.rows, messages, strict=True):
        torch.testing.assert_close(rows, engine.attend(one, rows=[-1, -4]).rows, atol=1e-5, rtol=0)
    early = run_passes(engine, asks, layers[:1])
    torch.testing.assert_close(early.rows[0], made.rows[0][:1], atol=1e-6, rtol=0)
    assert made.sinks is not None
    assert made.values is not None
    assert made.sinks.shape == (len(layers), len(prompts[0]))
    assert made.values.shape[2] == len(prompts[0])


def test_gradients_equal_eager_attention(engine: HydraModel, family: str, folders: dict[str, Path]) -> None:
    eager = load_plain(family, folders[family], attn_implementation="eager")
    prompt = engine.processor.chat(ask(IMAGES[0]))
    with torch.enable_grad():
        out = eager(**prompt.tensors(), output_attentions=True, use_cache=False)
        chances = torch.log_softmax(out.logits[0, -1].float(), -1)
        slopes = torch.autograd.grad(chances.max(), out.attentions)
    truth = torch.stack([s[0, :, -1] for s in slopes])
    made = run_passes(engine, [Ask(prompt, (len(prompt) - 1,))], layers_of(engine), gradient=True)
    torch.testing.assert_close(made.gradient, truth, atol=1e-4, rtol=1e-3)


def test_looking_leaves_the_answer_view_alone(engine: HydraModel) -> None:
    messages = ask(*IMAGES)
    before = engine.generate(messages, max_new_tokens=4)
    look(engine, IMAGES[0], "Where?", method="gradient")
    assert engine.generate(messages, max_new_tokens=4) == before
    assert all(not p.requires_grad or p.grad is None for p in engine.base_model.parameters())


@pytest.mark.parametrize("name", ["contrast", "value"])
def test_maps_fit_every_image(engine: HydraModel, name: str) -> None:
    found = look_at_all(engine, IMAGES, "Where is the total?", method=name)
    grids = engine.processor.chat(ask(*IMAGES)).grids
    assert tuple(one.grid for one in found) == grids
    for one in found:
        assert one.values.sum() == pytest.approx(1.0, abs=1e-5)
    again = look_at_all(engine, IMAGES, "Where is the total?", method=name)
    assert all(np.array_equal(a.values, b.values) for a, b in zip(found, again, strict=True))


@pytest.mark.parametrize("name", METHODS)
def test_every_method_runs_on_a_model(one_engine: HydraModel, name: str) -> None:
    found = look(one_engine, IMAGES[0], "Where is the total?", method=name, filters=tuple(FILTERS))
    assert np.isfinite(found.values).all()


def test_signals_have_the_shapes_that_they_promise(engine: HydraModel) -> None:
    layers = layers_of(engine)
    made = record(
        engine, IMAGES, "Where is it?", EVERYTHING, calibration=Calibration(layers), generics=GENERIC[:2]
    )
    assert [len(made), len(made[0])] == [2, 2]
    one = made[1][1]
    heads = int(engine.base_model.config.text_config.num_attention_heads)
    shape = (len(layers), heads, one.grid.cells)
    assert one.names == ("Where", "is", "it?")
    assert one.get("question").shape == one.get("generic").shape == one.get("gradient").shape == shape
    assert one.get("words").shape == one.get("before").shape == (len(layers), heads, 3, one.grid.cells)
    assert one.get("cell_values").shape[2] == one.grid.cells
    assert one.get("similarity").shape[1] == one.get("spread").shape[0] == one.grid.cells
    assert not torch.equal(made[0][1].get("generic"), one.get("generic"))
    torch.testing.assert_close(made[0][1].get("question"), one.get("question"))
    rows = engine.attend(ask(*IMAGES, text="unused"), layers=[layers[-1]])
    assert rows.grids[1] == one.grid


@pytest.mark.parametrize(
    "question", ["Where is the Total?", "  Wie groß ist es?  ", "合計は?", "<|im_end|> x"]
)
def test_words_are_found_in_the_prompt(one_engine: HydraModel, question: str) -> None:
    prompt = one_engine.processor.chat(ask(IMAGES[0], text=question))
    words = word_positions(one_engine, prompt, question)
    assert words
    for _, last, before in words:
        assert prompt.spans[-1][1] <= before < last < len(prompt)
    if question.isascii():
        assert [w for w, _, _ in words] == one_engine.processor.plain(question).split()
        name, last, before = words[-1]
        assert one_engine.processor.decode(prompt.token_ids[before + 1 : last + 1]).strip() == name


def test_no_image_is_an_error(one_engine: HydraModel) -> None:
    with pytest.raises(UsageError, match="no image"):
        look_at_all(one_engine, [], "Where?")


def test_the_usual_band_of_layers() -> None:
    assert set(band(tuple(range(28)), 28)) == set(range(16, 24))
    assert set(band((3, 7, 11, 15, 19, 23, 27, 31), 32)) == {19, 23}
    assert band((0,), 1) == (0,)


def samples(count: int = 2) -> list[Sample]:
    box = (Box(20, 20, 60, 40),)
    return [Sample(lambda i=i: noise(150, 100, i), "Where?", box) for i in range(count)]  # type: ignore[misc]


def test_a_calibration_is_chosen_stored_and_used(one_engine: HydraModel, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    made = calibrate(one_engine, samples(), progress=lambda a, b: steps.append((a, b)))
    assert steps == [(i, 6) for i in range(1, 7)]
    assert set(made.layers) <= set(layers_of(one_engine))
    assert made.generic in GENERIC
    assert {head for _, head, _ in made.heads} == set(range(4))
    assert made.measured["samples"] == 2
    assert {"default", "plain"} <= set(made.measured)
    path = tmp_path / FILE
    made.save(path)
    assert Calibration.load(path) == made
    where = calibration_path(one_engine)
    assert where.parent.name == "adapter"
    try:
        made.save(where)
        assert calibration_for(one_engine) == made
        made_elsewhere: dict[str, Any] = json.loads(where.read_text()) | {"weights": "other"}
        where.write_text(json.dumps(made_elsewhere))
        assert calibration_for(one_engine) == Calibration(band(layers_of(one_engine), 4))
    finally:
        where.unlink()
    with pytest.raises(UsageError, match="evidence"):
        calibrate(one_engine, [])


@pytest.mark.parametrize(
    "text", ["{", '{"format": 9}', '{"format": 1, "layers": []}', '{"format": 1, "x": 1}']
)
def test_broken_calibrations_are_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / FILE
    path.write_text(text)
    with pytest.raises(ModelError, match="calibrate"):
        Calibration.load(path)


def test_output_gates_are_those_of_the_plain_model(
    engine: HydraModel, family: str, folders: dict[str, Path]
) -> None:
    """The gate of the position that writes the answer, read from the plain class; none in other families."""
    prompt = engine.processor.chat(ask(IMAGES[0]))
    layers = layers_of(engine)
    made = run_passes(engine, [Ask(prompt, (len(prompt) - 1,))], layers, gates=True).gates
    if family != "qwen3_5":
        assert made is None
        return
    plain = load_plain(family, folders[family])
    seen: dict[int, torch.Tensor] = {}
    for index in layers:
        module = plain.model.language_model.layers[index].self_attn
        heads, dim = plain.config.text_config.num_attention_heads, module.head_dim

        def keep(
            module: Any, args: Any, output: torch.Tensor, index: int = index, shape: Any = (heads, 2 * dim)
        ) -> None:
            gate = torch.chunk(output[0, -1].view(shape), 2, dim=-1)[1]
            seen[index] = torch.sigmoid(gate).mean(-1)

        module.q_proj.register_forward_hook(keep)
    plain(**prompt.tensors(), use_cache=False)
    assert made is not None
    torch.testing.assert_close(made, torch.stack([seen[i] for i in layers]), atol=1e-5, rtol=0)
    assert 0 < float(made.min()) < float(made.max()) < 1
