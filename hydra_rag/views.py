"""Two module trees over the same tensors.

The **answer view** is the plain transformers class. Further trees are created on the meta device (no
memory, no initialisation) and then given the very same parameters and buffers, non-persistent ones
included, so each has its own configuration, hooks and module state (Qwen models keep position offsets on
the module) but not one weight of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

__all__ = ["causality", "hook_layers", "memory_report", "share_tree", "unique_bytes"]


def share_tree(model: Any, *, attention: str | None = None) -> Any:
    """A second tree of the headless model inside ``model``, over the same tensors.

    ``model``: a transformers ``…ForConditionalGeneration``. ``attention``: attention implementation of the
    new tree's text part, when it differs. Returns the base class (``model.model``'s class), in eval mode.
    """
    source = model.model
    config = copy.deepcopy(model.config)
    # Copied configs lose the choice of attention function, which lives in private attributes.
    for part in ("text_config", "vision_config"):
        chosen = getattr(model.config, part)._attn_implementation
        getattr(config, part)._attn_implementation_internal = chosen
    config._attn_implementation_internal = model.config._attn_implementation
    if attention is not None:
        config.text_config._attn_implementation_internal = attention
    with torch.device("meta"):
        tree = type(source)(config)
    _share(source, tree)
    for twin, origin in (
        (tree, source),
        (tree.language_model, source.language_model),
        (tree.visual, source.visual),
    ):
        twin.config._attn_implementation_internal = origin.config._attn_implementation
    if attention is not None:
        tree.language_model.config._attn_implementation_internal = attention
    return tree.eval()


def _share(source: nn.Module, tree: nn.Module) -> None:
    twins = dict(tree.named_modules())
    for name, module in source.named_modules():
        twin = twins.pop(name)
        for key, parameter in module._parameters.items():
            twin._parameters[key] = parameter
        for key, buffer in module._buffers.items():
            twin._buffers[key] = buffer
        for key, value in vars(module).items():
            if isinstance(value, torch.Tensor):  # plain tensor attributes of future versions
                setattr(twin, key, value)
    if twins:
        raise RuntimeError(f"the second tree has modules that the first lacks: {sorted(twins)[:3]}")
    left = [n for n, t in (*tree.named_parameters(), *tree.named_buffers()) if t.is_meta]
    if left:
        raise RuntimeError(f"tensors were not shared: {left[:3]}")


def hook_layers(tree: Any, before: Callable[[], object], *, halves: bool = False) -> None:
    """Call ``before`` ahead of every vision block and decoder layer of a headless model; with ``halves``
    also inside each, ahead of its perceptron."""

    def hook(module: nn.Module, args: Any) -> None:
        before()

    for layer in (*tree.visual.blocks, *tree.language_model.layers):
        layer.register_forward_pre_hook(hook)
        if halves:
            layer.mlp.register_forward_pre_hook(hook)


def unique_bytes(modules: Iterable[nn.Module]) -> int:
    """Bytes of distinct tensor storage behind all parameters and buffers."""
    seen: dict[tuple[torch.device, int], int] = {}
    for module in modules:
        for tensor in (*module.parameters(), *module.buffers()):
            storage = tensor.untyped_storage()
            seen[(tensor.device, storage.data_ptr())] = storage.nbytes()
    return sum(seen.values())


def memory_report(base: Any, added: Iterable[nn.Module]) -> dict[str, int]:
    """Bytes of the engine's distinct storage, and of what it replaces; see :meth:`HydraModel.memory`."""
    plain = unique_bytes([base])
    whole = unique_bytes([base, *added])
    return {
        "unique_bytes": whole,
        "two_models_bytes": whole + plain,
        "two_models_headless_bytes": whole + unique_bytes([base.model]),
        "adapter_bytes": whole - plain,
        "base_bytes": plain,
    }


def causality(run: Callable[[torch.Tensor], torch.Tensor], ids: torch.Tensor) -> str:
    """``"causal"`` or ``"bidirectional"``: does an early token's output move when the last token changes?

    ``run``: int64 [1, tokens] to hidden states [1, tokens, hidden]. This asks the outputs, because
    switches on modules can be silent no-ops under some attention backends.
    """
    changed = ids.clone()
    changed[0, -1] = ids[0, 0] if int(ids[0, -1]) != int(ids[0, 0]) else ids[0, 1]
    first, second = run(ids), run(changed)
    moved = (first[0, :-1] - second[0, :-1]).abs().max().item()
    scale = first.abs().max().item() or 1.0
    return "bidirectional" if moved > 1e-6 * scale else "causal"
