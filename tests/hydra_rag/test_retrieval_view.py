"""Shared storage, and vectors that depend on the item alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hydra_rag.adapter import AdapterSpec
from hydra_rag.embedding import page_prompt, query_prompt
from hydra_rag.errors import AdapterError, UsageError
from hydra_rag.model import HydraModel
from hydra_rag.retrieval import probe_attention
from hydra_rag.testing import tiny_model

from .conftest import noise

PAGES = [noise(200, 150), noise(200, 150, 1), noise(90, 260, 2), noise(200, 150, 3), noise(31, 17, 4)]
QUERIES: list[Any] = [
    "invoice total",
    "invoice date!",
    "",
    "a much longer question about the second table",
    noise(120, 80, 5),
    {"text": "like this one", "image": noise(120, 80, 6)},
]


def test_views_share_every_tensor(engine: HydraModel) -> None:
    view = engine.retrieval
    assert view is not None
    tree = dict(view.tree.named_parameters()) | dict(view.tree.named_buffers())
    base = dict(engine.base_model.model.named_parameters()) | dict(engine.base_model.model.named_buffers())
    plain_names = {name.replace(".base_layer", ""): t for name, t in tree.items() if "lora_" not in name}
    assert plain_names.keys() == base.keys()
    for name, tensor in base.items():
        assert plain_names[name].data_ptr() == tensor.data_ptr(), name
    memory = engine.memory()
    assert memory["unique_bytes"] == memory["base_bytes"] + memory["adapter_bytes"]
    assert memory["two_models_bytes"] == 2 * memory["base_bytes"] + memory["adapter_bytes"]
    assert not any(p.requires_grad for p in engine.base_model.parameters())


def test_second_view_does_not_touch_the_first(engine: HydraModel) -> None:
    assert not [n for n, _ in engine.base_model.named_modules() if "lora" in n.lower()]
    assert engine.base_model.lm_head.weight.shape[0] == engine.base_model.config.text_config.vocab_size


def test_vectors_do_not_depend_on_the_batch(engine: HydraModel) -> None:
    alone = [engine.embed_pages([page])[0] for page in PAGES]
    for size in (2, 5):
        together = engine.embed_pages(PAGES, batch_size=size)
        for one, many in zip(alone, together, strict=True):
            assert np.abs(one.vectors - many.vectors).max() <= 1e-5
    alone = [engine.embed_queries([item])[0] for item in QUERIES]
    together = engine.embed_queries(QUERIES * 2, batch_size=4)
    for one, many in zip(alone * 2, together, strict=True):
        assert np.abs(one.vectors - many.vectors).max() <= 1e-5


def test_shapes_norms_and_boxes(engine: HydraModel) -> None:
    for image, vector in zip(PAGES, engine.embed_pages(PAGES), strict=True):
        assert vector.grid is not None
        assert vector.boxes is not None
        assert len(vector) == vector.grid.cells <= 64
        assert vector.vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vector.vectors, axis=1), 1.0, atol=1e-5)
        assert vector.boxes.min() == 0
        assert tuple(vector.boxes.max(0)[2:]) == image.size
        area = (vector.boxes[:, 2] - vector.boxes[:, 0]) * (vector.boxes[:, 3] - vector.boxes[:, 1])
        assert area.sum() == image.width * image.height
    for vector in engine.embed_queries(QUERIES):
        assert len(vector) > 0
        assert vector.boxes is None


def test_image_query_equals_the_page(engine: HydraModel) -> None:
    page = PAGES[0]
    np.testing.assert_allclose(
        engine.embed_queries([page])[0].vectors, engine.embed_pages([page])[0].vectors, atol=1e-6
    )


def test_interleaved_answers_do_not_change_vectors(engine: HydraModel) -> None:
    """Position offsets that a request leaves on a module must not reach another."""
    before = engine.embed_queries(["some query"])[0].vectors
    message = [{"role": "user", "content": [{"type": "image", "image": noise(300, 40)}]}]
    engine.generate(message, max_new_tokens=3)
    engine.embed_pages([noise(40, 300)])
    assert np.array_equal(before, engine.embed_queries(["some query"])[0].vectors)


def test_lora_changes_vectors_and_needs_no_gradient(engine: HydraModel) -> None:
    view = engine.retrieval
    assert view is not None
    prompt = query_prompt(engine.processor, view.spec, "what is it")
    with torch.no_grad():
        base = engine.base_model.model(**prompt.tensors(), use_cache=False).last_hidden_state
        mine = view.hidden([prompt], [()])
    assert (base - mine).abs().max() > 1e-2
    assert not mine.requires_grad


def test_training_hook_reaches_adapter_and_projection_only(family: str, folders: dict[str, Path]) -> None:
    with HydraModel.load(str(folders[family]), device="cpu") as model:
        view = model.new_adapter(8, rank=2, alpha=4, random=True, spec=AdapterSpec(dim=8, page_tokens=16))
        parameters = view.trainable()
        prompts = [page_prompt(model.processor, view.spec, noise(100, 100, i)) for i in range(2)]
        features = [model.vision.features(model.base_model, p.images, model.device) for p in prompts]
        vectors = view.forward_hidden(prompts, features)
        assert vectors[0].shape == (prompts[0].images[0].tokens, 8)
        sum(v[:, 0].sum() for v in vectors).backward()  # type: ignore[union-attr]
        assert all(p.grad is not None and p.grad.isfinite().all() for p in parameters)
        assert all(p.grad is None for p in model.base_model.parameters())


def test_attention_modes(family: str, tmp_path: Path, folders: dict[str, Path]) -> None:
    with HydraModel.load(str(folders[family]), device="cpu") as model:
        assert model.retrieval is not None
        assert probe_attention(model.retrieval) == "causal"
        causal = model.embed_queries(["early and late"])[0].vectors
        spec = AdapterSpec(dim=16, attention="bidirectional", page_tokens=64)
        model.new_adapter(16, rank=4, alpha=8, random=True, spec=spec)
        model.save_adapter(tmp_path / "both")
        model.load_adapter(tmp_path / "both")
        assert probe_attention(model.retrieval) == "bidirectional"
        both = model.embed_queries(["early and late"])[0].vectors
        assert np.abs(causal - both).max() > 1e-3
        pages = model.embed_pages(PAGES[:2], batch_size=2)
        assert np.abs(pages[0].vectors - model.embed_pages(PAGES[:1])[0].vectors).max() <= 1e-5


def test_without_an_adapter(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "bare", adapter=False)
    with HydraModel.load(str(folder), device="cpu") as model:
        assert model.generate([{"role": "user", "content": "hi"}], max_new_tokens=2).token_ids
        assert model.attend([{"role": "user", "content": "hi"}]).rows.shape[2] == 1
        for call in (
            lambda: model.embed_pages([noise(64, 64)]),
            lambda: model.embed_queries(["x"]),
            lambda: model.fingerprint,
        ):
            with pytest.raises(AdapterError, match="train adapter"):
                call()


def test_wrong_queries(one_engine: HydraModel) -> None:
    for item in (3, None, {"text": 3}):
        with pytest.raises(UsageError):
            one_engine.embed_queries([item])  # type: ignore[list-item]
    assert one_engine.embed_queries([]) == []
    assert one_engine.embed_pages([]) == []


def test_the_adapter_says_what_a_match_in_one_place_counts(one_engine: HydraModel) -> None:
    view = one_engine.retrieval
    assert view is not None
    before = view.spec
    try:
        view.spec = replace(before, nearby=0.25)
        words, picture = one_engine.embed_queries(["total", noise(64, 64)])
    finally:
        view.spec = before
    assert (words.nearby, picture.nearby) == (0.25, 0.0)
    assert one_engine.embed_queries(["total"])[0].nearby == 0.0
