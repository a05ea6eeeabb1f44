"""Optimisers and the learning-rate schedule shared by all stages.

Hidden matrices are trained with Muon (orthogonalised momentum), everything else with AdamW.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn


def make_optimisers(
    modules: Iterable[nn.Module], lr: float, *, weight_decay: float = 0.01, muon: bool = True
) -> list[torch.optim.Optimizer]:
    hidden: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    seen: set[int] = set()
    for module in modules:
        for name, p in module.named_parameters():
            if not p.requires_grad or id(p) in seen:
                continue
            seen.add(id(p))
            matrix = p.ndim == 2 and max(p.shape) <= 800 and "embed" not in name and "head" not in name
            (hidden if muon and matrix else rest).append(p)
    out: list[torch.optim.Optimizer] = []
    if hidden:
        out.append(
            torch.optim.Muon(
                hidden, lr=lr, weight_decay=weight_decay, momentum=0.95, adjust_lr_fn="match_rms_adamw"
            )
        )
    if rest:
        out.append(torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.98), weight_decay=weight_decay))
    return out


def lr_scale(done: float, *, warmup: float = 0.02, decay_from: float = 0.5, floor: float = 0.02) -> float:
    """Factor on the learning rate at the share ``done`` of the stage: warm-up, constant, linear decay."""
    if done < warmup:
        return max(0.05, done / warmup)
    if done < decay_from:
        return 1.0
    return max(floor, 1.0 - (done - decay_from) / (1.0 - decay_from))


def set_lr(optimisers: list[torch.optim.Optimizer], lr: float) -> None:
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = lr
