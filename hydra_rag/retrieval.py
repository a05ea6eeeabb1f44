"""Building a retrieval view: a second tree over the base weights, a LoRA from a folder or a fresh one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from hydra_rag import adapter as adapters
from hydra_rag import views
from hydra_rag.backbones import Profile
from hydra_rag.embedding import RetrievalView
from hydra_rag.errors import AdapterError
from hydra_rag.sliced import slice_attention

__all__ = ["fresh_view", "load_view", "probe_attention"]


def load_view(
    base: Any, profile: Profile, folder: Path, weights: Callable[[], str], poll: Callable[[], object]
) -> RetrievalView:
    """The view of an adapter folder. ``weights``: fingerprint of the base, asked for only when the adapter
    names one. A two-way adapter is probed: the outputs must show that early tokens see late ones."""
    spec = adapters.read_spec(folder)
    facts = adapters.base_facts(base.config)
    if "weights" in spec.base:
        facts["weights"] = weights()
    adapters.check_base(spec, facts)
    tree = _tree(base, poll)
    peft_model, projection, spec = adapters.read_adapter(folder, tree, facts["hidden_size"])
    for name, parameter in peft_model.named_parameters():
        if "lora_" in name:  # only the adapter's own tensors: the others belong to the answer view too
            parameter.data = parameter.data.to(base.device, base.dtype)
    view = RetrievalView(peft_model, projection.to(base.device), spec, profile, base.config)
    if spec.attention == "bidirectional" and (found := probe_attention(view)) != "bidirectional":
        raise AdapterError(
            f"the adapter was trained with bidirectional attention, but the loaded model is {found}; "
            "this backbone can't run it"
        )
    return view


def fresh_view(
    base: Any,
    profile: Profile,
    weights: str,
    poll: Callable[[], object],
    *,
    spec: adapters.AdapterSpec,
    rank: int,
    alpha: int,
    dropout: float,
    seed: int,
    random: bool,
) -> RetrievalView:
    """A view with an untrained adapter in float32; see :meth:`HydraModel.new_adapter`."""
    hidden = int(base.config.text_config.hidden_size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = adapters.lora_config(rank=rank, alpha=alpha, dropout=dropout, random=random)
        peft_model = adapters.attach_lora(_tree(base, poll), config)
        projection = torch.nn.Linear(hidden, spec.dim, bias=False)
        torch.nn.init.normal_(projection.weight, std=hidden**-0.5)
    peft_model.requires_grad_(False)
    projection.requires_grad_(False)
    for name, parameter in peft_model.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.to(base.device, torch.float32)  # small steps need it
    facts = {**spec.base, **adapters.base_facts(base.config), "weights": weights}
    spec = replace(spec, base=facts)
    return RetrievalView(peft_model.eval(), projection.eval().to(base.device), spec, profile, base.config)


def probe_attention(view: RetrievalView) -> str:
    """``"causal"`` or ``"bidirectional"``, by the outputs of a few tokens."""
    vocab = int(view.tree.config.text_config.vocab_size)
    ids = torch.arange(8, device=view.device)[None] % vocab

    def run(tokens: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return view.hidden_of(tokens)

    return views.causality(run, ids)


def _tree(base: Any, poll: Callable[[], object]) -> Any:
    """The view's modules: here pages are embedded, which chats must not wait for."""
    tree = views.share_tree(base)
    views.hook_layers(tree, poll, halves=True)
    slice_attention(tree, poll)
    return tree
