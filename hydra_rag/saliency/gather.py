"""The passes of a look: one prefix (template and images), forked caches, a short suffix per probe.

In all supported families the images come before the text, so their keys, values and recurrent states do
not depend on the question: they are computed once. Every suffix runs on its own copy of the cache (cutting
a cache back is wrong for recurrent layers). Rows equal those of one plain pass
(:meth:`hydra_rag.model.HydraModel.attend`) up to rounding; tests hold them together.

The passes run in a tree of their own over the shared tensors, on the model's thread, as one slice, with the
adapter off. Hooks are there only while a slice runs.
"""

from __future__ import annotations

import contextvars
import copy
import threading
import weakref
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from hydra_rag import attention
from hydra_rag.inputs import Prompt
from hydra_rag.vision import ImageFeatures, encoder_outputs

if TYPE_CHECKING:
    from hydra_rag.model import HydraModel

__all__ = ["Ask", "Passes", "run_passes"]

NAME = "hydra_look"
_leaves: contextvars.ContextVar[dict[int, torch.Tensor] | None] = contextvars.ContextVar(
    "hydra_leaves", default=None
)
_trees: weakref.WeakKeyDictionary[HydraModel, Any] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Ask:
    """One prompt of a look and the positions whose rows it wants. All prompts show the same images."""

    prompt: Prompt
    positions: tuple[int, ...]


@dataclass
class Passes:
    """``rows``: per prompt float32 [L, H, rows, tokens]. ``gradient`` [L, H, tokens], ``sinks`` [L, tokens],
    ``values`` [L, K, tokens, D]: of the first prompt, where asked for (tokens: of the whole prompt).
    ``gates`` [L, H]: how far every head's output is let through where the first prompt's answer begins
    (``None`` for models without output gates)."""

    rows: list[torch.Tensor] = field(default_factory=list)
    gradient: torch.Tensor | None = None
    sinks: torch.Tensor | None = None
    values: torch.Tensor | None = None
    gates: torch.Tensor | None = None


def run_passes(
    model: HydraModel,
    asks: Sequence[Ask],
    layers: tuple[int, ...],
    *,
    gradient: bool = False,
    sinks: bool = False,
    sink_dims: tuple[int, ...] = (),
    values: bool = False,
    gates: bool = False,
) -> Passes:
    """Run all probes of one look. ``layers``: decoder layers that have attention rows."""
    tree = _tree(model)

    def steps() -> Generator[None, None, Passes]:
        features = model.vision.features(model.base_model, asks[0].prompt.images, model.device)
        yield
        run = _Run(tree, model, features, layers)
        return run.all(asks, gradient=gradient, sinks=sinks, sink_dims=sink_dims, values=values, gates=gates)

    return model.scheduler.run("chat", steps)


def _tree(model: HydraModel) -> Any:
    with _lock:
        if model not in _trees:
            _trees[model] = attention.capture_tree(model.base_model, model.scheduler.poll, NAME, _forward)
        return _trees[model]


def _forward(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    leaves = _leaves.get()
    if leaves is None:
        return attention.row_keeping(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    # One query position over a full cache: it may see every key. The weights are part of the graph.
    heads, dim, kv = query.shape[1], query.shape[3], key.shape[1]
    grouped = query.reshape(1, kv, heads // kv, dim)
    scores = torch.einsum("bgrd,bgkd->bgrk", grouped, key) * (dim**-0.5 if scaling is None else scaling)
    weights = torch.softmax(scores.float(), dim=-1)
    leaf = torch.zeros_like(weights).requires_grad_()
    leaves[module.layer_idx] = leaf
    out = torch.einsum("bgrk,bgkd->bgrd", (weights + leaf).to(value.dtype), value)
    return out.reshape(1, 1, heads, dim), None


class _Run:
    """The passes of one look, on the model's thread."""

    def __init__(
        self, tree: Any, model: HydraModel, features: Sequence[ImageFeatures], layers: tuple[int, ...]
    ) -> None:
        self.tree, self.base, self.features, self.layers = tree, model.base_model, features, layers
        self.device = model.device

    def all(
        self,
        asks: Sequence[Ask],
        *,
        gradient: bool,
        sinks: bool,
        sink_dims: tuple[int, ...],
        values: bool,
        gates: bool,
    ) -> Passes:
        from transformers import DynamicCache

        made = Passes()
        first = asks[0].prompt
        cut = first.spans[-1][1]
        last = len(self.tree.language_model.layers) - 1
        # A pass stops after the last layer of its collector; the gradient needs the whole model.
        reach = frozenset((last,) if gradient else ()) | frozenset(self.layers)
        cache = DynamicCache(config=self.tree.language_model.config)
        with torch.no_grad(), self._watch(sinks, values, gates) as seen:
            self._pass(first, 0, cut, cache, attention.Collector(reach, torch.zeros(1, 0, dtype=torch.long)))
            for index, ask in enumerate(asks):
                positions = torch.tensor([[p - cut for p in ask.positions]], dtype=torch.long)
                collector = attention.Collector(frozenset(self.layers), positions)
                seen.active = index == 0
                self._pass(ask.prompt, cut, len(ask.prompt), copy.deepcopy(cache), collector)
                made.rows.append(torch.stack([collector.rows[i][0] for i in self.layers]))
        if gradient:
            made.gradient = self._gradient(first, cut, cache)
        if sinks:
            made.sinks = _sink_scores([torch.cat(seen.hidden[i]) for i in self.layers], sink_dims)
        if values:
            made.values = torch.stack([self._split(torch.cat(seen.values[i])) for i in self.layers])
        if gates:
            made.gates = self._gates(seen)
        return made

    def _gates(self, seen: _Seen) -> torch.Tensor | None:
        """Gated attention projects a query and a gate per head, side by side; the gate's mean sigmoid."""
        heads = int(self.tree.language_model.config.num_attention_heads)
        rows = [seen.queries[i][-1] for i in self.layers]
        dim = int(self.tree.language_model.layers[self.layers[0]].self_attn.head_dim)
        if any(row.shape[-1] != 2 * heads * dim for row in rows):
            return None
        halves = torch.stack(rows).float().reshape(len(rows), heads, 2, dim)
        return torch.sigmoid(halves[:, :, 1]).mean(-1).cpu()

    def _pass(self, prompt: Prompt, start: int, end: int, cache: Any, collector: attention.Collector) -> Any:
        """Tokens ``start`` to ``end`` of the prompt on top of the cache; its hidden states, if reached."""
        inputs: dict[str, Any] = prompt.tensors(self.device, pixels=False)
        spots, _ = self.tree.get_rope_index(
            inputs["input_ids"],
            mm_token_type_ids=inputs["mm_token_type_ids"],
            image_grid_thw=inputs["image_grid_thw"],
        )
        shown = {"mm_encoder_outputs": encoder_outputs(self.features)} if start == 0 else {}
        with attention.collecting(collector):
            out = self.tree(
                input_ids=inputs["input_ids"][:, start:end],
                position_ids=spots[..., start:end],
                past_key_values=cache,
                use_cache=True,
                return_dict=True,
                **shown,
            )
            return out.last_hidden_state
        return None

    def _gradient(self, prompt: Prompt, cut: int, cache: Any) -> torch.Tensor:
        """d log p(most likely first token) / d attention weights of the last position, all wanted layers.

        Only the last token's own step is differentiated: nothing before it depends on its weights.
        """
        fork = copy.deepcopy(cache)
        idle = attention.Collector(
            frozenset({len(self.tree.language_model.layers)}), torch.zeros(1, 0, dtype=torch.long)
        )
        if len(prompt) - 1 > cut:
            with torch.no_grad():
                self._pass(prompt, cut, len(prompt) - 1, fork, idle)
        leaves: dict[int, torch.Tensor] = {}
        token = _leaves.set(leaves)
        try:
            with torch.enable_grad():
                hidden = self._pass(prompt, len(prompt) - 1, len(prompt), fork, idle)
                chances = torch.log_softmax(self.base.lm_head(hidden[0, -1]).float(), dim=-1)
                slopes = torch.autograd.grad(
                    chances.max(), [leaves[i] for i in self.layers], allow_unused=True
                )
        finally:
            _leaves.reset(token)
        whole = [
            torch.zeros_like(leaves[i]) if s is None else s for i, s in zip(self.layers, slopes, strict=True)
        ]
        return torch.stack([s.reshape(-1, s.shape[-1]).detach().float().cpu() for s in whole])

    def _split(self, values: torch.Tensor) -> torch.Tensor:
        """[tokens, K · D] to [K, tokens, D]."""
        heads = int(self.tree.language_model.config.num_key_value_heads)
        return values.reshape(len(values), heads, -1).transpose(0, 1).float().cpu()

    @contextmanager
    def _watch(self, sinks: bool, values: bool, gates: bool) -> Iterator[_Seen]:
        """Record hidden states, values and query projections of the wanted layers while the block runs."""
        seen = _Seen({i: [] for i in self.layers}, {i: [] for i in self.layers}, {i: [] for i in self.layers})
        handles = []
        for index in self.layers:
            layer = self.tree.language_model.layers[index]
            if sinks:
                handles.append(
                    layer.register_forward_pre_hook(partial(seen.see_hidden, index), with_kwargs=True)
                )
            if values:
                handles.append(layer.self_attn.v_proj.register_forward_hook(partial(seen.see_values, index)))
            if gates:
                handles.append(layer.self_attn.q_proj.register_forward_hook(partial(seen.see_query, index)))
        try:
            yield seen
        finally:
            for handle in handles:
                handle.remove()


@dataclass
class _Seen:
    hidden: dict[int, list[torch.Tensor]]
    values: dict[int, list[torch.Tensor]]
    queries: dict[int, list[torch.Tensor]]
    active: bool = True

    def see_hidden(self, index: int, module: Any, args: Any, kwargs: Any) -> None:
        if self.active:
            state = args[0] if args else kwargs["hidden_states"]
            self.hidden[index].append(state[0].detach().float())

    def see_values(self, index: int, module: Any, args: Any, output: torch.Tensor) -> None:
        if self.active:
            self.values[index].append(output[0].detach())

    def see_query(self, index: int, module: Any, args: Any, output: torch.Tensor) -> None:
        if self.active:
            self.queries[index].append(output[0, -1].detach())


def _sink_scores(hidden: list[torch.Tensor], dims: tuple[int, ...]) -> torch.Tensor:
    """max over sink dimensions of |x| / RMS(x), per layer: [L, tokens].

    Without known dimensions, the two that stand out most in the prompt's first token are taken.
    """
    rows = []
    for state in hidden:
        normal = state.abs() / state.square().mean(-1, keepdim=True).sqrt().clamp_min(1e-9)
        chosen = list(dims) or normal[0].topk(2).indices.tolist()
        rows.append(normal[:, chosen].amax(-1).cpu())
    return torch.stack(rows)
