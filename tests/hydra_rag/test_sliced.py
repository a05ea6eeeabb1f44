"""Attention in parts: the same bits, and others get the device in between."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from hydra_rag import sliced
from hydra_rag.embedding import page_prompt
from hydra_rag.model import HydraModel

from .conftest import noise


class Attention(torch.nn.Module):
    is_causal = False
    num_key_value_groups = 1

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def hydra_between(self) -> None:
        self.calls += 1


@pytest.mark.parametrize(("rows", "calls"), [(2047, 0), (2048, 1), (3500, 2)])
def test_parts_are_the_whole(rows: int, calls: int) -> None:
    drawn = torch.Generator().manual_seed(3)
    query, key, value = (torch.randn(rows, 2, 24, generator=drawn).transpose(0, 1)[None] for _ in range(3))
    module = Attention()
    options: dict[str, Any] = {"scaling": 0.3, "is_causal": False}
    whole, _ = sdpa_attention_forward(module, query, key, value, None, **options)
    parts, _ = sliced._sliced(module, query, key, value, None, **options)
    assert sliced.exact(24, torch.float32)
    assert torch.equal(parts, whole)
    assert parts.is_contiguous()
    assert module.calls == calls


def test_a_kernel_whose_parts_differ_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sliced, "exact", lambda dim, dtype: False)
    module = Attention()
    query = torch.randn(1, 1, 2048, 8)
    sliced._sliced(module, query, query, query, None, is_causal=False)
    assert module.calls == 0


def test_a_page_has_the_features_of_the_answer_view(
    engine: HydraModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With parts so small that the tiny models' pages are cut."""
    assert engine.retrieval is not None
    monkeypatch.setattr(sliced, "ROWS", 8)
    monkeypatch.setattr(sliced, "exact", lambda dim, dtype: True)
    polls: list[None] = []
    for block in engine.retrieval.tree.visual.blocks:
        monkeypatch.setattr(block.attn, "hydra_between", lambda: polls.append(None))
    image = page_prompt(engine.processor, engine.retrieval.spec, noise(150, 130, 5)).images[0]
    grid = torch.tensor([image.grid_thw])
    with torch.no_grad():
        plain = engine.base_model.get_image_features(image.pixels, grid, return_dict=True)
        assert not polls
        cut = engine.retrieval.tree.get_image_features(image.pixels, grid, return_dict=True)
    assert polls
    assert torch.allclose(cut.pooler_output[0], plain.pooler_output[0], atol=1e-6)
    assert engine.base_model.model.visual.config._attn_implementation == "sdpa"
