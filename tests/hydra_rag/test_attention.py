"""Attention rows equal eager attention's, and taking them changes nothing."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from hydra_rag import attention
from hydra_rag.errors import UsageError
from hydra_rag.model import HydraModel

from .conftest import ask, load_plain, noise

MESSAGES = ask(noise(150, 100), noise(70, 170, 1), text="Where?")


@pytest.fixture(scope="module")
def eager(family: str, folders: dict[str, Path]) -> Any:
    return load_plain(family, folders[family], attn_implementation="eager")


def eager_rows(eager: Any, inputs: dict[str, Any]) -> torch.Tensor:
    with torch.no_grad():
        out = eager(**inputs, output_attentions=True, use_cache=False)
    return torch.stack(out.attentions)  # [layers, batch, heads, queries, keys]


def test_rows_equal_eager(engine: HydraModel, eager: Any) -> None:
    prompt = engine.processor.chat(MESSAGES)
    whole = eager_rows(eager, prompt.tensors())[:, 0]
    every = engine.attend(MESSAGES, rows=list(range(len(prompt))))
    assert every.layers == engine.profile.attention_layers(engine.base_model.config)
    assert every.token_ids == prompt.token_ids
    torch.testing.assert_close(every.rows, whole, atol=1e-5, rtol=0)
    last = engine.attend(MESSAGES)
    assert last.positions == (len(prompt) - 1,)
    torch.testing.assert_close(last.rows[:, :, 0], whole[:, :, -1], atol=1e-5, rtol=0)
    some = engine.attend(MESSAGES, layers=[-1], rows=[-2, 0, 7])
    assert some.positions == (len(prompt) - 2, 0, 7)
    torch.testing.assert_close(some.rows[0], whole[-1][:, list(some.positions)], atol=1e-5, rtol=0)


def test_spans_and_grids(engine: HydraModel) -> None:
    rows = engine.attend(MESSAGES)
    image = engine.processor.image_token_id
    assert [grid.cells for grid in rows.grids] == [end - start for start, end in rows.image_spans]
    inside = {i for start, end in rows.image_spans for i in range(start, end)}
    assert inside == {i for i, token in enumerate(rows.token_ids) if token == image}


def test_padding_is_masked(engine: HydraModel, eager: Any) -> None:
    """Two prompts of different length in one padded pass of the capture tree."""
    texts = ["<|im_start|>user\nshort<|im_end|>\n", "<|im_start|>user\na longer question<|im_end|>\n"]
    inputs = dict(engine.processor(text=texts))
    kinds = inputs.pop("mm_token_type_ids")
    assert int(kinds.sum()) == 0
    tree = attention.capture_tree(engine.base_model, lambda: None)
    layers = engine.profile.attention_layers(engine.base_model.config)
    last = inputs["input_ids"].shape[1] - 1
    collector = attention.Collector(frozenset(layers), torch.tensor([[last], [last]]))
    token = attention._active.set(collector)
    try:
        with torch.no_grad():
            hidden = tree(**inputs, use_cache=False).last_hidden_state
            plain = engine.base_model.model(**inputs, use_cache=False).last_hidden_state
    finally:
        attention._active.reset(token)
    got = torch.stack([collector.rows[i] for i in layers])[:, :, :, 0]
    torch.testing.assert_close(got, eager_rows(eager, inputs)[..., -1, :], atol=1e-5, rtol=0)
    assert float(got[:, 0, :, : int((inputs["attention_mask"][0] == 0).sum())].abs().max()) == 0.0
    assert torch.equal(hidden, plain)


def test_rows_of_a_cached_step() -> None:
    """Queries shorter than keys (a cached continuation) see the right part of the past."""
    torch.manual_seed(0)
    query, key = torch.randn(1, 4, 3, 8), torch.randn(1, 2, 9, 8)
    rows = attention.attention_rows(query, key, None, torch.tensor([[0, 2]]), None)
    full = torch.einsum("bhqd,bhkd->bhqk", query, key.repeat_interleave(2, 1)) * 8**-0.5
    allowed = torch.arange(9)[None] <= torch.arange(3)[:, None] + 6
    wanted = full.masked_fill(~allowed, float("-inf")).softmax(-1)[:, :, [0, 2]]
    torch.testing.assert_close(rows, wanted)


def test_answers_are_untouched(engine: HydraModel) -> None:
    before = engine.generate(MESSAGES, max_new_tokens=8)
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            engine.attend(MESSAGES)

    worker = threading.Thread(target=look)
    worker.start()
    try:
        during = engine.generate(MESSAGES, max_new_tokens=8)
    finally:
        stop.set()
        worker.join()
    assert before.token_ids == during.token_ids
    assert engine.base_model.config._attn_implementation == "sdpa"


def test_stops_after_the_last_wanted_layer(engine: HydraModel, monkeypatch: pytest.MonkeyPatch) -> None:
    first = engine.profile.attention_layers(engine.base_model.config)[0]
    wanted = engine.attend(MESSAGES, layers=[first]).rows
    layers = engine._capture.tree.language_model.layers
    if first + 1 < len(layers):

        def fail(*_: Any, **__: Any) -> Any:
            raise AssertionError("this layer must not run")

        monkeypatch.setattr(layers[first + 1], "forward", fail)
    assert torch.equal(engine.attend(MESSAGES, layers=[first]).rows, wanted)


def test_only_real_layers_and_rows(one_engine: HydraModel) -> None:
    kinds = one_engine.profile.layer_kinds(one_engine.base_model.config)
    linear = [i for i, kind in enumerate(kinds) if kind == "linear_attention"]
    for layers in ([linear[0]], [99], []):
        with pytest.raises(UsageError):
            one_engine.attend(MESSAGES, layers=layers)
    for rows in ("first", [], [100000]):
        with pytest.raises(UsageError):
            one_engine.attend(MESSAGES, rows=rows)


def test_open_answer_is_part_of_the_prompt(one_engine: HydraModel) -> None:
    asked = ask(noise(80, 80), text="Total?")
    answered = [*asked, {"role": "assistant", "content": "12"}]
    prompt, longer = one_engine.processor.chat(asked), one_engine.processor.chat(answered)
    assert longer.token_ids[: len(prompt)] == prompt.token_ids
    assert one_engine.processor.decode(longer.token_ids[len(prompt) :]) == "12"
    assert one_engine.attend(answered).positions == (len(longer) - 1,)
