"""Choose layers, idle instruction, floor and filters of a checkpoint from pages with known evidence.

Three rounds over the samples. The first scores every head. The second scores every layer under every idle
instruction, its heads weighed by their scores, and keeps only means over heads. The third, on the chosen
layers alone, compares filters. A choice must earn its place: a further layer or filter is taken only where it
improves pointing plus AUROC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hydra_rag.errors import UsageError
from hydra_rag.geometry import Box
from hydra_rag.saliency.calibration import GENERIC, Calibration
from hydra_rag.saliency.filters import DEFAULT_FILTERS, FILTERS, find_filters, saliency
from hydra_rag.saliency.maps import SaliencyMap
from hydra_rag.saliency.methods import METHODS, find_method, finish, layer_maps
from hydra_rag.saliency.probes import record
from hydra_rag.saliency.scores import evidence_cells, map_scores
from hydra_rag.saliency.signals import Need, Signals

if TYPE_CHECKING:
    from PIL import Image

    from hydra_rag.model import HydraModel

__all__ = ["FLOORS", "Sample", "calibrate", "merit"]

FLOORS = (0.1, 0.03, 0.3, 1.0, 3.0, 10.0)
_LAYERS = 4  # at most so many are averaged
_GAIN = 0.002  # of pointing plus AUROC that a further choice must bring
_BINS = 12


@dataclass(frozen=True, slots=True)
class Sample:
    """A question about a page and where its evidence stands. ``image`` opens the page (kept no longer)."""

    image: Callable[[], Image.Image]
    question: str
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    """One sample after the second round: head means [G][L, C] of the idle rows, [L, C] of the question's."""

    signals: Signals
    idle: torch.Tensor
    boxes: tuple[Box, ...]
    size: tuple[int, int]


Progress = Callable[[int, int], None]


def calibrate(
    model: HydraModel,
    samples: Sequence[Sample],
    *,
    generics: Sequence[str] = GENERIC,
    image_tokens: int | None = None,
    progress: Progress | None = None,
) -> Calibration:
    """The calibration of ``model``'s base weights. Raises :class:`UsageError` without samples.

    About a hundred samples from pages like those to be read are enough. ``progress``: (done, all).
    """
    if not samples or not all(sample.boxes for sample in samples):
        raise UsageError("a calibration needs questions with evidence boxes; this folder has none")
    available = model.profile.attention_layers(model.base_model.config)
    start = Calibration(available)
    rounds = 3 * len(samples)

    def tell(done: int) -> None:
        if progress is not None:
            progress(done, rounds)

    heads = _score_heads(model, samples, start, image_tokens, tell)
    seen: list[_Seen] = []
    for done, sample in enumerate(samples, start=len(samples) + 1):
        image = sample.image()
        needs: set[Need] = {"question", "generic"}
        recorded = record(
            model,
            [image],
            sample.question,
            needs,
            calibration=start,
            generics=generics,
            image_tokens=image_tokens,
        )
        weighed = [replace(one[0], heads=_better_half(heads)) for one in recorded]
        idle = torch.stack([layer_maps(one, one.get("generic")) for one in weighed])
        mean = replace(
            weighed[0],
            question=layer_maps(weighed[0], weighed[0].get("question"))[:, None],
            generic=None,
            scores=None,
            heads=None,
        )
        seen.append(_Seen(mean, idle, sample.boxes, image.size))
        tell(done)
    generic, floor, layers, score = _choose_layers(seen, available, generics)
    chosen = Calibration(
        layers,
        generic=generic,
        floor=floor,
        filters=(),
        heads=tuple(
            (layer, head, round(float(heads[i, head]), 4))
            for i, layer in enumerate(available)
            if layer in layers
            for head in range(heads.shape[1])
        ),
        trend=_trend(seen, [available.index(i) for i in layers], list(generics).index(generic)),
        weights=model.weights_fingerprint,
    )
    filters, measured = _choose_filters(model, samples, chosen, image_tokens, tell)
    return replace(chosen, filters=filters, measured={"samples": len(samples), "layers": score, **measured})


def merit(found: SaliencyMap, boxes: Sequence[Box], size: tuple[int, int]) -> float:
    """Pointing plus AUROC: what is maximised."""
    scores = map_scores(found, boxes, *size)
    return scores["pointing"] + scores["auroc"]


def _score_heads(
    model: HydraModel,
    samples: Sequence[Sample],
    start: Calibration,
    image_tokens: int | None,
    tell: Callable[[int], None],
) -> torch.Tensor:
    """[L, H]: how often each head's strongest cell lies in the evidence."""
    pointed: list[torch.Tensor] = []
    for done, sample in enumerate(samples, start=1):
        image = sample.image()
        recorded = record(
            model, [image], sample.question, {"question"}, calibration=start, image_tokens=image_tokens
        )
        pointed.append(_heads_pointing(recorded[0][0], sample.boxes, image.size))
        tell(done)
    return torch.stack(pointed).mean(0)


def _better_half(scores: torch.Tensor) -> torch.Tensor:
    """Weights of heads [L, H]: the scores of the better half of every layer; equal ones where all are 0."""
    least = scores.median(1, keepdim=True).values
    kept = torch.where(scores >= least, scores, torch.zeros(()))
    return torch.where(kept.sum(1, keepdim=True) > 0, kept, torch.ones(()))


def _heads_pointing(signals: Signals, boxes: Sequence[Box], size: tuple[int, int]) -> torch.Tensor:
    """[L, H]: 1.0 where the head's strongest cell touches the evidence."""
    even = SaliencyMap.of(signals.grid, np.ones(signals.grid.cells))
    cells = torch.from_numpy(evidence_cells(even, boxes, *size)) > 0
    return cells[signals.get("question").argmax(-1)].float()


def _score(seen: Iterable[_Seen], entries: Sequence[int], idle: int, floor: float) -> float:
    """Mean merit of the default method on these entries of the layer axis."""
    method, total, count = find_method("contrast"), 0.0, 0
    for one in seen:
        index = list(entries)
        signals = replace(
            one.signals,
            question=one.signals.get("question")[index],
            generic=one.idle[idle][index][:, None],
            floor=floor,
        )
        total += merit(finish(method, signals), one.boxes, one.size)
        count += 1
    return total / count


def _choose_layers(
    seen: Sequence[_Seen], available: tuple[int, ...], generics: Sequence[str]
) -> tuple[str, float, tuple[int, ...], float]:
    """Best single layer over idle instructions, then the floor, then further layers one by one."""
    entries = range(len(available))
    single = {(g, i): _score(seen, [i], g, FLOORS[0]) for g in range(len(generics)) for i in entries}
    idle, best = max(single, key=lambda key: (single[key], -key[0], key[1]))
    score, floor = single[idle, best], FLOORS[0]
    floor, score = _choose_floor(seen, [best], idle, floor, score)
    picked = [best]
    ranked = sorted((i for i in entries if i != best), key=lambda i: -single[idle, i])[:8]
    while len(picked) < _LAYERS and ranked:
        trials = {i: _score(seen, [*picked, i], idle, floor) for i in ranked}
        further = max(ranked, key=lambda i: trials[i])
        if trials[further] < score + _GAIN:
            break
        picked.append(further)
        ranked.remove(further)
        score = trials[further]
    floor, score = _choose_floor(seen, picked, idle, floor, score)
    return generics[idle], floor, tuple(available[i] for i in picked), score


def _choose_floor(
    seen: Sequence[_Seen], entries: Sequence[int], idle: int, floor: float, score: float
) -> tuple[float, float]:
    for other in FLOORS:
        if other != floor and (new := _score(seen, entries, idle, other)) >= score + _GAIN:
            floor, score = other, new
    return floor, score


def _trend(seen: Sequence[_Seen], entries: Sequence[int], idle: int) -> tuple[float, ...]:
    """Usual idle attention from the top of a page to its bottom, in bins whose mean is one."""
    total = torch.zeros(_BINS)
    for one in seen:
        grid = one.signals.grid
        rows = one.idle[idle][list(entries)].mean(0).reshape(grid.rows, grid.cols).mean(1)
        total += torch.nn.functional.interpolate(
            rows.reshape(1, 1, -1), size=_BINS, mode="linear", align_corners=False
        ).reshape(-1) / rows.mean().clamp_min(1e-30)
    return tuple(round(float(v), 5) for v in total / total.mean().clamp_min(1e-30))


def _choose_filters(
    model: HydraModel,
    samples: Sequence[Sample],
    chosen: Calibration,
    image_tokens: int | None,
    tell: Callable[[int], None],
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """None, each alone, each after the weighing of heads, or the usual ones: the best, the simplest of
    equals."""
    usual = (*(name for name in DEFAULT_FILTERS if name != "stop_words"), "stop_words")
    single = [(n,) for n in FILTERS if n != "stop_words"]
    both = [("retrieval_heads", *n) for n in single if n != ("retrieval_heads",)]
    options: list[tuple[str, ...]] = [(), *single, *both, usual, ("retrieval_heads", *usual)]
    method, control = find_method("contrast"), METHODS["plain"]
    needs: set[Need] = {"question", "generic"}
    needs = needs.union(*(f.needs for f in FILTERS.values()))
    totals = np.zeros(len(options))
    figures: dict[str, list[dict[str, float]]] = {"default": [], "plain": []}
    maps: list[list[dict[str, float]]] = []
    for done, sample in enumerate(samples, start=1):
        image = sample.image()
        signals = record(
            model, [image], sample.question, needs, calibration=chosen, image_tokens=image_tokens
        )[0][0]  # fmt: skip
        scores = [
            map_scores(saliency(signals, method, find_filters(o)), sample.boxes, *image.size) for o in options
        ]
        totals += [s["pointing"] + s["auroc"] for s in scores]
        maps.append(scores)
        figures["plain"].append(map_scores(finish(control, signals), sample.boxes, *image.size))
        tell(2 * len(samples) + done)
    totals /= len(samples)
    best = 0
    for index in range(1, len(options)):
        if totals[index] >= totals[best] + _GAIN:
            best = index
    figures["default"] = [scores[best] for scores in maps]
    return options[best], {
        name: {key: round(float(np.mean([s[key] for s in scores])), 4) for key in scores[0]}
        for name, scores in figures.items()
    }
