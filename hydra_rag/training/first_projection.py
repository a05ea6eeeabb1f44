"""A first projection for a new adapter that already tells tokens apart.

Hidden states of a language model share most of their length: all tokens of pages point nearly one way, all
tokens of queries another. After a random projection every page then looks alike to every query, and a
training spends its first epochs on undoing that. So what all tokens of a kind share is left out, and the
directions that are left are brought to one size (whitening), as far as they are more than noise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

__all__ = ["spread_projection", "whitening"]

#: Directions much smaller than this share of the mean variance are not enlarged any more.
_NOISE = 0.05


def whitening(kinds: Sequence[torch.Tensor]) -> torch.Tensor:
    """float32 [hidden, hidden], symmetric: removes the mean direction of every kind of token and evens the
    variances within the kinds. ``kinds``: [tokens, hidden] each."""
    means = torch.stack([states.double().mean(0) for states in kinds], 1)
    spread = torch.zeros(len(means), len(means), dtype=torch.float64, device=means.device)
    for states in kinds:
        centred = states.double() - states.double().mean(0)
        spread += centred.T @ centred / (len(states) * len(kinds))
    basis, _ = torch.linalg.qr(means)
    rest = torch.eye(len(means), dtype=torch.float64, device=means.device) - basis @ basis.T
    values, vectors = torch.linalg.eigh(rest @ spread @ rest)
    scale = (values.clamp(min=0) + _NOISE * values.clamp(min=0).mean() + 1e-12).rsqrt()
    even: torch.Tensor = (vectors * scale) @ vectors.T @ rest
    return even.float()


@torch.no_grad()
def spread_projection(projection: nn.Linear, kinds: Sequence[torch.Tensor]) -> None:
    """Put :func:`whitening` of these hidden states before ``projection`` (in place)."""
    projection.weight.copy_(projection.weight @ whitening(kinds).to(projection.weight))
