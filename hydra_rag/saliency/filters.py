"""Cleaning of signals before a method sees them. Pure functions; chosen by name, applied in the order given.

Sources: hidden-state sinks and the visual mass of heads: VAR (arXiv 2503.03321); isolated cells: VEA (arXiv
2510.17771); trend: attention debiasing (arXiv 2508.17807); stop words: RefAM (arXiv 2509.22650); retrieval
heads: arXiv 2404.15574.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch

from hydra_rag.errors import UsageError
from hydra_rag.geometry import Grid
from hydra_rag.saliency.maps import SaliencyMap
from hydra_rag.saliency.methods import Method, finish
from hydra_rag.saliency.signals import Need, Signals

__all__ = ["DEFAULT_FILTERS", "FILTERS", "STOP_WORDS", "Filter", "find_filters", "isolated_cells", "saliency"]

Cleaning: TypeAlias = Callable[[Signals], Signals]

DEFAULT_FILTERS: tuple[str, ...] = ("hidden", "isolated", "blank", "stop_words", "visual_mass")
STOP_WORDS = frozenset(
    "a an and are as at be by can did do does for from had has have how i in is it its many me much my of on "
    "or please say says shown tell that the their there these this to was were what when where which who "
    "whom whose why will with you your".split()
)
_SINK = 20.0  # of the normalised hidden state
_ISOLATED = 10.0  # times every neighbour
_BLANK = 2.0  # standard deviation of luminance, of 255
_MASS = 0.2  # of a head's attention that must lie on the page


@dataclass(frozen=True, slots=True)
class Filter:
    """``needs``: signals to record besides the method's."""

    name: str
    title: str
    needs: frozenset[Need]
    clean: Cleaning


FILTERS: dict[str, Filter] = {}


def _filter(name: str, title: str, *needs: Need) -> Callable[[Cleaning], Cleaning]:
    def add(function: Cleaning) -> Cleaning:
        FILTERS[name] = Filter(name, title, frozenset(needs), function)
        return function

    return add


def find_filters(names: Sequence[str]) -> tuple[Filter, ...]:
    """Raises :class:`UsageError` for names that are not registered."""
    if unknown := [name for name in names if name not in FILTERS]:
        raise UsageError(f"there is no saliency filter {unknown[0]!r}; use some of: {', '.join(FILTERS)}")
    return tuple(FILTERS[name] for name in names)


def saliency(
    signals: Signals, method: Method, filters: Sequence[Filter] = (), *, smooth: bool = True
) -> SaliencyMap:
    """Clean, then run the method. Filters whose signals were not recorded do nothing."""
    for one in filters:
        signals = one.clean(signals)
    return finish(method, signals, smooth=smooth)


@_filter("hidden", "hidden-state sinks", "sinks")
def hidden(signals: Signals) -> Signals:
    """Cells that are attention sinks in any of the layers no longer count."""
    if signals.sinks is None:
        return signals
    return signals.keep(signals.sinks.amax(0) < _SINK)


@_filter("isolated", "isolated cells")
def isolated(signals: Signals) -> Signals:
    """Cells far above all of their neighbours, in the mean of a layer's heads, take the neighbours' mean.

    Where the generic attention is known, a cell must stand alone there too: sinks do, evidence does not.
    """

    def alone(rows: torch.Tensor) -> torch.Tensor:
        # Whether a cell is a sink is a property of the layer: single heads are too peaked to tell.
        return isolated_cells(rows.mean(1, keepdim=True), signals.grid)[0]

    known = None if signals.generic is None else alone(signals.generic)

    def mend(rows: torch.Tensor) -> torch.Tensor:
        lone = alone(rows)
        if known is not None:
            lone = lone & known.reshape(*known.shape[:2], *[1] * (rows.ndim - 3), known.shape[-1])
        return torch.where(lone, isolated_cells(rows, signals.grid)[1], rows)

    return signals.with_rows(mend)


def isolated_cells(rows: torch.Tensor, grid: Grid) -> tuple[torch.Tensor, torch.Tensor]:
    """[..., C] to (bool: more than ten times every neighbour of the 3 × 3, mean of the neighbours)."""
    plane = rows.reshape(-1, 1, grid.rows, grid.cols)
    padded = torch.nn.functional.pad(plane, (1, 1, 1, 1))
    inside = torch.nn.functional.pad(torch.ones_like(plane), (1, 1, 1, 1))
    top, total, count = torch.zeros_like(plane), torch.zeros_like(plane), torch.zeros_like(plane)
    for dy in range(3):
        for dx in range(3):
            if (dy, dx) != (1, 1):
                part = padded[..., dy : dy + grid.rows, dx : dx + grid.cols]
                top, total = torch.maximum(top, part), total + part
                count = count + inside[..., dy : dy + grid.rows, dx : dx + grid.cols]
    mean = total / count.clamp_min(1.0)
    return ((plane > _ISOLATED * top) & (count > 0)).reshape(rows.shape), mean.reshape(rows.shape)


@_filter("blank", "blank cells", "spread")
def blank(signals: Signals) -> Signals:
    """Cells without ink: margins play the part on pages that padding plays elsewhere."""
    if signals.spread is None:
        return signals
    return signals.keep(signals.spread > _BLANK)


@_filter("trend", "position trend")
def trend(signals: Signals) -> Signals:
    """Attention divided by what a row of the page usually gets (needs a calibration)."""
    if signals.trend is None or not len(signals.trend):
        return signals
    usual = torch.nn.functional.interpolate(
        signals.trend.reshape(1, 1, -1), size=signals.grid.rows, mode="linear", align_corners=False
    ).reshape(-1)
    usual = usual.clamp_min(0.05 * float(usual.max())).repeat_interleave(signals.grid.cols)
    return signals.with_rows(lambda rows: rows / usual.clamp_min(1e-12))


@_filter("stop_words", "stop words dropped")
def stop_words(signals: Signals) -> Signals:
    """Rows of words that mean nothing by themselves are left out, unless none would be left."""
    keep = [i for i, name in enumerate(signals.names) if name.casefold().strip("?.,:;!'\"") not in STOP_WORDS]
    if not keep or len(keep) == len(signals.names):
        return signals
    made = {
        name: part[:, :, keep]
        for name in ("words", "before", "word_values")
        if (part := getattr(signals, name)) is not None
    }
    return replace(signals, names=tuple(signals.names[i] for i in keep), **made)


@_filter("visual_mass", "heads that look at the page", "question")
def visual_mass(signals: Signals) -> Signals:
    """Heads with under a fifth of their attention on the image are left out, layer by layer.

    Of the others the better half stays: by calibrated score, else by what the question added to the
    generic attention, where that was recorded. A layer without such heads keeps all.
    """
    if signals.question is None:
        return signals
    allowed = (signals.question.sum(-1) >= _MASS).float()
    merit = signals.scores
    if merit is None and signals.generic is not None:
        merit = (signals.question - signals.generic).clamp_min(0.0).sum(-1)
    if merit is not None:
        ranked = torch.where(allowed > 0, merit, torch.full_like(merit, -1.0))
        count = allowed.sum(1, keepdim=True)
        order = ranked.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
        allowed = allowed * (order < torch.ceil(count / 2))
    return _weigh(signals, allowed)


@_filter("retrieval_heads", "calibrated retrieval heads", "question")
def retrieval_heads(signals: Signals) -> Signals:
    """Heads weighed by how often they pointed at the evidence when the checkpoint was calibrated.

    The better half of the heads of the layers counts, at least one in all.
    """
    if signals.scores is None:
        return signals
    least = torch.quantile(signals.scores.flatten(), 0.5)
    return _weigh(signals, torch.where(signals.scores >= least, signals.scores, torch.zeros(())))


@_filter("output_gate", "heads weighed by their output gate", "gates")
def output_gate(signals: Signals) -> Signals:
    """Gated attention (Qwen3.5) lets through only a part of what a head has looked at: it counts by that.

    Nothing changes for models without such gates.
    """
    return signals if signals.gates is None else _weigh(signals, signals.gates)


def _weigh(signals: Signals, weights: torch.Tensor) -> Signals:
    old = torch.ones_like(weights) if signals.heads is None else signals.heads
    new = old * weights
    empty = new.sum(1, keepdim=True) <= 0
    return replace(signals, heads=torch.where(empty, old, new))
