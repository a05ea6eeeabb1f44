"""Attention of a large page in parts, so that a chat never waits for all of it.

One attention layer of a page's vision tower can take longer than a whole short answer: on one CPU core
0.3 s for an A4 page of 4,368 patches. Its query rows do not depend on each other, so they are computed a
thousand at a time, and whoever waits may have the device in between. The parts are the whole, bit for bit:
that is checked once for the kernel at hand, and where it does not hold nothing is cut.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

__all__ = ["NAME", "ROWS", "exact", "slice_attention"]

NAME = "hydra_sliced"
#: Query rows of one part. Fewer would cost time: every part reads all keys and values again.
ROWS = 1024


def slice_attention(tree: Any, between: Callable[[], object]) -> None:
    """Let the vision tower of a headless model call ``between`` inside its attention layers, too.

    ``tree``: one that shares weights with the answer view, never the answer view itself.
    """
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, _sliced)
    tree.visual.config._attn_implementation_internal = NAME
    for block in tree.visual.blocks:
        block.attn.hydra_between = between


def _sliced(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """``query``, ``key``, ``value``: [batch, heads, tokens, dim]. Returns [batch, tokens, heads, dim]."""
    batch, heads, rows, dim = query.shape
    simple = attention_mask is None and not dropout and is_causal is False and key.shape[1] == heads
    if rows < 2 * ROWS or not simple or query.device.type != "cpu" or not exact(dim, query.dtype):
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(
            module,
            query,
            key,
            value,
            attention_mask,
            dropout=dropout,
            scaling=scaling,
            is_causal=is_causal,
            **kwargs,
        )
    out = query.new_empty(batch, rows, heads, value.shape[-1])
    starts = range(0, rows - ROWS + 1, ROWS)  # the last part takes the rest
    for start, end in zip(starts, [*starts[1:], rows], strict=True):
        if start:
            module.hydra_between()
        part = scaled_dot_product_attention(query[:, :, start:end], key, value, scale=scaling)
        out[:, start:end] = part.transpose(1, 2)
    return out, None


@cache
def exact(dim: int, dtype: torch.dtype) -> bool:
    """Whether parts of ``ROWS`` rows give the very bits of the whole, for heads of ``dim`` on this CPU."""
    drawn = torch.Generator().manual_seed(0)
    rows = 2 * ROWS + 100
    # As the models lay them out: heads are cut from the last axis.
    query, key, value = (
        torch.randn(rows, 1, dim, generator=drawn).to(dtype).transpose(0, 1)[None] for _ in range(3)
    )
    whole = scaled_dot_product_attention(query, key, value)
    cuts = ((0, ROWS), (ROWS, rows))
    parts = [scaled_dot_product_attention(query[:, :, a:b], key, value) for a, b in cuts]
    return torch.equal(torch.cat(parts, dim=2), whole)
