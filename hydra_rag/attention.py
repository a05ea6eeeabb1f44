"""Attention rows: what chosen prompt positions look at, without eager attention over everything.

An SDPA wrapper is registered with transformers under its own name, together with SDPA's mask function
(without one, transformers silently drops the padding mask). It returns SDPA's own output and, where a
collector is active in the caller's context, recomputes the post-softmax rows of a few query positions from
the very queries and keys that SDPA saw. A third tree over the shared tensors uses it, so the answer view is
never touched; its pass stops after the last wanted layer.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from hydra_rag.backbones import Profile
from hydra_rag.errors import UsageError
from hydra_rag.inputs import Prompt
from hydra_rag.values import AttentionRows
from hydra_rag.views import hook_layers, share_tree
from hydra_rag.vision import ImageFeatures, VisionCache, encoder_outputs

__all__ = [
    "NAME",
    "Capture",
    "Collector",
    "LayerReached",
    "capture_rows",
    "capture_steps",
    "capture_tree",
    "collecting",
    "register",
    "row_keeping",
    "row_positions",
]

NAME = "hydra_rows"


@dataclass
class Collector:
    """Which rows to keep, and the rows. ``positions``: [batch, rows] query positions in the sequence."""

    layers: frozenset[int]
    positions: torch.Tensor
    rows: dict[int, torch.Tensor] = field(default_factory=dict)


_active: contextvars.ContextVar[Collector | None] = contextvars.ContextVar("hydra_rows", default=None)


class LayerReached(Exception):
    """All wanted layers have run; the rest of the pass is not needed."""


@contextmanager
def collecting(collector: Collector) -> Iterator[None]:
    """Passes of a capture tree inside the block keep their rows in ``collector``.

    The block ends quietly where a pass stops after the last wanted layer.
    """
    token = _active.set(collector)
    try:
        yield
    except LayerReached:
        pass
    finally:
        _active.reset(token)


def register(name: str = NAME, function: Callable[..., Any] | None = None) -> None:
    """Make a wrapper known to transformers, with SDPA's mask function. Safe to call again."""
    from transformers import AttentionInterface
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface

    AttentionInterface.register(name, function or row_keeping)
    AttentionMaskInterface.register(name, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])


def row_keeping(
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
    """SDPA's own output; where a collector is active, its rows besides."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    out, _ = sdpa_attention_forward(
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
    collector = _active.get()
    if collector is not None and module.layer_idx in collector.layers:
        causal = module.is_causal if is_causal is None else is_causal
        rows = attention_rows(query, key, attention_mask, collector.positions, scaling, causal=causal)
        collector.rows[module.layer_idx] = rows
    return out, None


def attention_rows(
    query: torch.Tensor,
    key: torch.Tensor,
    mask: torch.Tensor | None,
    positions: torch.Tensor,
    scaling: float | None,
    *,
    causal: bool = True,
) -> torch.Tensor:
    """Post-softmax rows, float32 [batch, heads, rows, keys] on the CPU.

    ``query`` [batch, heads, queries, dim], ``key`` [batch, kv heads, keys, dim] after rotary encoding;
    ``mask`` [batch or 1, 1 or heads, queries, keys] bool (true: may look) or additive, or ``None`` for the
    plain causal rule; ``positions`` int64 [batch, rows], counted in ``queries``.
    """
    batch, heads, queries, dim = query.shape
    kv_heads, keys = key.shape[1], key.shape[2]
    index = positions.to(query.device)[:, None, :, None]
    picked = query.gather(2, index.expand(batch, heads, -1, dim))
    grouped = picked.reshape(batch, kv_heads, heads // kv_heads, -1, dim)
    scores = torch.einsum("bghrd,bgkd->bghrk", grouped.float(), key.float()).reshape(batch, heads, -1, keys)
    scores = scores * (dim**-0.5 if scaling is None else scaling)
    if mask is None:
        if causal and queries > 1:
            # SDPA aligns its causal rule with the last key when keys are cached.
            limit = positions.to(query.device)[:, None, :, None] + (keys - queries)
            allowed = torch.arange(keys, device=query.device) <= limit
            scores = scores.masked_fill(~allowed, float("-inf"))
    else:
        wide = mask.expand(batch, mask.shape[1], queries, mask.shape[3])
        part = wide.gather(2, index.expand(batch, mask.shape[1], -1, mask.shape[3]))[..., :keys]
        scores = (
            scores.masked_fill(~part, float("-inf")) if part.dtype == torch.bool else scores + part.float()
        )
    return torch.softmax(scores, dim=-1, dtype=torch.float32).nan_to_num(0.0).cpu()


def capture_tree(
    model: Any, poll: Callable[[], object], name: str = NAME, function: Callable[..., Any] | None = None
) -> Any:
    """A tree over the shared tensors whose text part uses the row-keeping wrapper, or ``function``."""
    register(name, function)
    tree = share_tree(model, attention=name)
    stop_after(tree)
    hook_layers(tree, poll)
    return tree


def stop_after(tree: Any) -> None:
    """Let passes of this tree end early: before each layer, raise once every wanted layer has run."""

    def hook(index: int) -> Any:
        def before(module: Any, args: Any) -> None:
            collector = _active.get()
            if collector is not None and index > max(collector.layers):
                raise LayerReached

        return before

    for index, layer in enumerate(tree.language_model.layers):
        layer.register_forward_pre_hook(hook(index))


def wanted_layers(profile: Profile, config: Any, layers: Sequence[int] | None) -> tuple[int, ...]:
    """The layers asked for, checked. Raises :class:`UsageError` for layers that have no attention rows."""
    available = profile.attention_layers(config)
    if layers is None:
        return available
    count = len(profile.layer_kinds(config))
    wanted = tuple(dict.fromkeys(i + count if i < 0 else i for i in layers))
    if not wanted or any(i not in available for i in wanted):
        raise UsageError(f"layers {list(layers)} asked for, but only {list(available)} have attention rows")
    return wanted


def row_positions(rows: str | Sequence[int], length: int) -> tuple[int, ...]:
    """``"last"`` or prompt positions (negative ones count from the end), checked."""
    if rows == "last":
        return (length - 1,)
    if isinstance(rows, str) or not len(rows):
        raise UsageError('rows must be "last" or a list of prompt positions')
    wanted = tuple(int(i) + length if i < 0 else int(i) for i in rows)
    if any(not 0 <= i < length for i in wanted):
        raise UsageError(f"row positions {list(rows)} do not all lie inside the prompt of {length} tokens")
    return wanted


class Capture:
    """Attention rows of one model on demand; its tree over the shared tensors is made with the first."""

    def __init__(self, answer: Any, cache: VisionCache, poll: Callable[[], object]) -> None:
        self._answer, self._cache, self._poll = answer, cache, poll
        self._lock = threading.Lock()
        self._tree: Any = None

    @property
    def tree(self) -> Any:
        with self._lock:
            if self._tree is None:
                self._tree = capture_tree(self._answer, self._poll)
            return self._tree

    def steps(
        self, prompt: Prompt, layers: tuple[int, ...], positions: tuple[int, ...]
    ) -> Generator[None, None, AttentionRows]:
        """See :func:`capture_steps`."""
        return capture_steps(self.tree, self._answer, self._cache, prompt, layers, positions)


def capture_steps(
    tree: Any,
    answer: Any,
    cache: VisionCache,
    prompt: Prompt,
    layers: tuple[int, ...],
    positions: tuple[int, ...],
) -> Generator[None, None, AttentionRows]:
    """The slices of one request: the vision tower (or its cached features), then one pass of ``tree``."""
    device = answer.device
    features = cache.features(answer, prompt.images, device) if prompt.images else ()
    yield
    return capture_rows(tree, prompt, features, layers, positions, device)


def capture_rows(
    tree: Any,
    prompt: Prompt,
    features: Sequence[ImageFeatures],
    layers: tuple[int, ...],
    positions: tuple[int, ...],
    device: torch.device,
) -> AttentionRows:
    """One pass of the capture tree over one prompt."""
    inputs: dict[str, Any] = prompt.tensors(device, pixels=False)
    kinds, thw = inputs.pop("mm_token_type_ids"), inputs.pop("image_grid_thw", None)
    inputs.pop("attention_mask")  # nothing is padded
    if thw is None:
        spots = torch.arange(len(prompt), device=device).expand(3, 1, -1)
    else:
        spots, _ = tree.get_rope_index(inputs["input_ids"], mm_token_type_ids=kinds, image_grid_thw=thw)
        inputs["mm_encoder_outputs"] = encoder_outputs(features)
    collector = Collector(frozenset(layers), torch.tensor([positions], dtype=torch.long))
    with collecting(collector):
        tree(**inputs, position_ids=spots, use_cache=False, return_dict=True)
    return AttentionRows(
        rows=torch.stack([collector.rows[i][0] for i in layers]),
        layers=layers,
        positions=positions,
        image_spans=prompt.spans,
        grids=prompt.grids,
        token_ids=prompt.token_ids,
    )
