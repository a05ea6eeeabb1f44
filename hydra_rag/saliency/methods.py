"""Saliency methods: pure functions from signals to one strength per cell, interchangeable by name.

Sources: ViCrop, "MLLMs Know Where to Look" (arXiv 2502.17422); CARVE (arXiv 2509.06461); GIFT (arXiv
2510.22067); FOCUS (arXiv 2506.21710); ColPali-style similarity maps. Written anew from the papers' ideas.

Every method is unchanged when all attention is multiplied by a number. Strengths may be negative;
:func:`finish` makes a map of them: positive part, a small blur (the binomial 3 × 3 kernel keeps peaks where
they are), living cells only, sum one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch

from hydra_rag.errors import UsageError
from hydra_rag.evidence import evidence_map
from hydra_rag.geometry import Grid
from hydra_rag.saliency.maps import SaliencyMap
from hydra_rag.saliency.signals import Need, Signals

__all__ = ["DEFAULT", "METHODS", "Method", "find_method", "finish", "layer_maps", "log_ratio", "standardise"]

Function: TypeAlias = Callable[[Signals], torch.Tensor]

DEFAULT = "contrast"
_TINY = 1e-12
_RIDGE = 0.05  # of the mean generic attention, CARVE's lambda


@dataclass(frozen=True, slots=True)
class Method:
    """``needs``: signals to record. ``strengths``: the function, [C] float32."""

    name: str
    title: str
    needs: frozenset[Need]
    strengths: Function


METHODS: dict[str, Method] = {}


def _method(name: str, title: str, *needs: Need) -> Callable[[Function], Function]:
    def add(function: Function) -> Function:
        METHODS[name] = Method(name, title, frozenset(needs), function)
        return function

    return add


def find_method(name: str) -> Method:
    """Raises :class:`UsageError` for names that are not registered."""
    if name not in METHODS:
        raise UsageError(f"there is no saliency method {name!r}; use one of: {', '.join(METHODS)}")
    return METHODS[name]


def finish(method: Method, signals: Signals, *, smooth: bool = True) -> SaliencyMap:
    """Run a method on (cleaned) signals."""
    strengths = torch.nan_to_num(method.strengths(signals).float(), nan=0.0, posinf=0.0, neginf=0.0)
    strengths = _living(strengths.clamp_min(0.0), signals)
    if smooth:
        strengths = _living(_blur(strengths, signals.grid), signals)
    if not bool((strengths > 0).any()):
        strengths = _living(torch.ones_like(strengths), signals)
    return SaliencyMap.of(signals.grid, strengths.numpy(), method.name)


def layer_maps(signals: Signals, rows: torch.Tensor) -> torch.Tensor:
    """[L, H, ..., C] averaged over heads (by weight), each layer's map summing to one: [L, ..., C]."""
    if signals.heads is None:
        mean = rows.mean(1)
    else:
        weights = signals.heads / signals.heads.sum(1, keepdim=True).clamp_min(_TINY)
        mean = (rows * weights.reshape(*weights.shape, *[1] * (rows.ndim - 2))).sum(1)
    return mean / mean.sum(-1, keepdim=True).clamp_min(1e-30)


def log_ratio(question: torch.Tensor, generic: torch.Tensor, floor: float = 0.1) -> torch.Tensor:
    """log((q + e) / (g + e)), e = ``floor`` times the mean of g: [L, C] each, layers summing to one.

    A large floor turns it into the plain difference, a small one into the plain log-ratio.
    """
    extra = floor * generic.mean(-1, keepdim=True) + _TINY
    return torch.log((question + extra) / (generic + extra))


def standardise(strengths: torch.Tensor, alive: torch.Tensor | None = None) -> torch.Tensor:
    """By median and median absolute deviation of the living cells: [..., C]; even maps become zero."""
    living = strengths if alive is None else strengths[..., alive]
    middle = living.median(-1, keepdim=True).values
    away = (living - middle).abs()
    # Where most cells are equal the median deviation vanishes; a tenth of the standard one is the least.
    spread = torch.maximum(
        1.4826 * away.median(-1, keepdim=True).values, 0.1 * away.square().mean(-1, keepdim=True).sqrt()
    )
    size = living.abs().amax(-1, keepdim=True)
    return torch.where(spread > 1e-6 * size, (strengths - middle) / spread.clamp_min(1e-30), torch.zeros(()))


@_method("contrast", "contrastive log-ratio with a floor", "question", "generic")
def contrast(signals: Signals) -> torch.Tensor:
    """Question against generic attention per layer, standardised, averaged over layers."""
    asked = layer_maps(signals, signals.get("question"))
    idle = layer_maps(signals, signals.get("generic"))
    return standardise(log_ratio(asked, idle, signals.floor), signals.alive).mean(0)


@_method("relative", "relative attention (ViCrop)", "question", "generic")
def relative(signals: Signals) -> torch.Tensor:
    """A(question) / A(generic) in one layer, without floor."""
    best = signals.best
    asked = layer_maps(signals, signals.get("question"))[best]
    return asked / layer_maps(signals, signals.get("generic"))[best].clamp_min(1e-9)


@_method("carve", "CARVE", "question", "generic")
def carve(signals: Signals) -> torch.Tensor:
    """A(question) / (A(generic) + lambda), summed over layers."""
    idle = layer_maps(signals, signals.get("generic"))
    ridge = _RIDGE * idle.mean(-1, keepdim=True) + _TINY
    return (layer_maps(signals, signals.get("question")) / (idle + ridge)).sum(0)


@_method("gradient", "gradient-weighted attention", "question", "gradient")
def gradient(signals: Signals) -> torch.Tensor:
    """A · relu(d log p(first token) / dA) in one layer, heads averaged after weighting."""
    weighted = signals.get("question") * signals.get("gradient").clamp_min(0.0)
    return layer_maps(signals, weighted)[signals.best]


@_method("shift", "positive shift (GIFT)", "words")
def shift(signals: Signals) -> torch.Tensor:
    """What every word of the question adds to the attention of the token ahead of it.

    The half of the heads with the largest sum counts. Cells beyond three deviations are cut to them.
    """
    gained = (signals.get("words") - signals.get("before")).clamp_min(0.0)
    if not gained.shape[2]:
        return torch.zeros(signals.grid.cells)
    per_head = gained.mean(2)
    sums = per_head.sum(-1)
    if signals.heads is not None:
        sums = sums * signals.heads
    keep = (sums >= sums.median(1, keepdim=True).values).float()
    summed = (per_head * keep[..., None]).sum(1) / keep.sum(1, keepdim=True).clamp_min(1.0)
    total = summed.mean(0)
    top = total.mean() + 3 * total.std(unbiased=False)
    return torch.minimum(total, top) - total.min()


@_method("maxsim", "MaxSim similarity map", "similarity")
def maxsim(signals: Signals) -> torch.Tensor:
    """The retrieval view's similarity map (see :mod:`hydra_rag.evidence`)."""
    return torch.from_numpy(evidence_map(np.ascontiguousarray(signals.get("similarity").numpy())))


@_method("value", "value similarity (FOCUS)", "values")
def value(signals: Signals) -> torch.Tensor:
    """Cosine of the value vectors of words and cells, over words, heads and layers."""
    words = torch.nn.functional.normalize(signals.get("word_values"), dim=-1)
    cells = torch.nn.functional.normalize(signals.get("cell_values"), dim=-1)
    if not words.shape[2]:
        return torch.zeros(signals.grid.cells)
    near = torch.einsum("lkwd,lkcd->lkwc", words, cells)
    return standardise(near, signals.alive).mean((0, 1, 2))


@_method("contrast_maxsim", "contrast times MaxSim", "question", "generic", "similarity")
def contrast_maxsim(signals: Signals) -> torch.Tensor:
    """The default map with the retrieval view's map as prior."""
    return contrast(signals).clamp_min(0.0) * maxsim(signals).clamp_min(0.0).sqrt()


@_method("plain", "plain attention (control)", "question")
def plain(signals: Signals) -> torch.Tensor:
    """The question's attention, averaged over heads and layers."""
    return layer_maps(signals, signals.get("question")).mean(0)


def _living(strengths: torch.Tensor, signals: Signals) -> torch.Tensor:
    return strengths if signals.alive is None else strengths * signals.alive


def _blur(strengths: torch.Tensor, grid: Grid) -> torch.Tensor:
    line = torch.tensor([1.0, 2.0, 1.0]) / 4.0
    kernel = torch.outer(line, line)[None, None]
    plane = strengths.reshape(1, 1, grid.rows, grid.cols)
    blurred = torch.nn.functional.conv2d(plane, kernel, padding=1)
    # At the page's edge a part of the kernel hangs over: what is there counts in full.
    cover = torch.nn.functional.conv2d(torch.ones_like(plane), kernel, padding=1)
    return (blurred / cover).reshape(-1)
