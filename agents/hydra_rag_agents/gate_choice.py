"""When to look closer, chosen for a model from questions that were asked with and without a closer look."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra_rag_agents.gate import Gate
from hydra_rag_agents.gate_eval import GateFigures
from hydra_rag_agents.memo import MemoReader

if TYPE_CHECKING:
    from hydra_rag.model import HydraModel
    from hydra_rag.saliency.calibration import Calibration

__all__ = ["calibrated_gate", "choose_gate"]

#: A gain that no crop has.
_NEVER = 1e3
#: Records of pages in which a model that reads found no words, from which thresholds for them are chosen.
_ENOUGH = 10
#: What gating may cost of the tokens that always gazing takes, where that can be met.
_BUDGET = 0.7


def calibrated_gate(
    folder: Path,
    model: HydraModel,
    calibration: Calibration,
    limit: int | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, float]:
    """The gate for a calibrated model, from the answered questions of an evaluation folder."""
    from hydra_rag_agents.eval_data import open_image, read_pages
    from hydra_rag_agents.reader import ModelReader

    reader = MemoReader(ModelReader(lambda: model, calibration))
    figures = GateFigures(reader)
    pages = read_pages(folder)[:limit]
    for done, page in enumerate(pages, start=1):
        image = open_image(folder, page.image)
        own = model.read_pages([image], close=False)[0] if model.can_read else ()
        seen = replace(page, words=tuple(own))
        for asked in page.questions:
            figures.ask(seen, image, asked, text_layer=bool(own), read=True)
        reader.forget()
        if progress is not None:
            progress(done, len(pages))
    return choose_gate(figures.records, reader.gate)


def choose_gate(records: Sequence[Mapping[str, Any]], base: Gate | None = None) -> dict[str, float]:
    """Thresholds under which gating these records is right most often; of equals, with the fewest tokens.

    A record that chose among words which the model read gazes where a crop shows them so much larger and the
    answer, if there was one, was not very sure, or where it was very unsure; others where the glance was not
    sure and their best spot passes. The answer is then that of ``always``, else of ``auto`` where that did
    not gaze, else of ``never``. At most 70 % of the tokens that
    ``always`` takes are spent, and a percent of them is worth 0.05 points. Where several are as good, what
    the gate had before stays, or the nearest to it. Fewer ``gazes`` are tried as if what took more had not
    helped, and had cost that share of its tokens.
    """
    start = base or Gate()
    read = [r for r in records if r["never"].get("gain") is not None]
    seen = [r for r in records if r["never"].get("gain") is None]
    chosen: dict[str, float] = {}
    if read:
        triples = product(
            (1.2, 1.5, 1.75, 2.0, 2.25, 2.5, 3.0, _NEVER),
            (1.01, 0.99, 0.97, 0.95, 0.9, 0.8),
            (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9),
        )
        gains = [dict(zip(("min_gain", "sure_read", "unsure"), values, strict=True)) for values in triples]
        gains.sort(
            key=lambda g: (abs(math.log(g["min_gain"] / start.min_gain)), -g["sure_read"], g["unsure"])
        )
        by_gazes = [
            (*_best([_cut(r, most) for r in read], gains, _reads_larger), most)
            for most in range(1, start.gazes + 1)
        ]
        _, best, most = max(by_gazes, key=lambda found: found[0])
        chosen |= best | {"sure": 0.0, "gazes": most}
    if seen and (not read or len(seen) >= _ENOUGH):
        grid = product(
            (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99),
            (1.0, 1.5, 2.0, 3.0, 4.0),
            (1.0, 1.25, 1.5),
            (0.2, 0.35, 0.5),
        )
        names = ("sure", "min_enrichment", "min_zoom", "max_area")
        options = [dict(zip(names, values, strict=True)) for values in grid]
        chosen |= _best(seen, options, _gazes)[1] | {"max_entropy": start.max_entropy}
    return chosen


def _best(
    records: Sequence[Mapping[str, Any]],
    options: Sequence[dict[str, float]],
    gazes: Callable[[Mapping[str, Any], Mapping[str, float]], bool],
) -> tuple[tuple[bool, float], dict[str, float]]:
    """What the best of ``options`` is worth, and the first that is worth it."""
    every = sum(r["always"]["tokens"] for r in records) or 1

    def merit(option: Mapping[str, float]) -> tuple[bool, float]:
        made = [r["always"] if gazes(r, option) else _unlooked(r) for r in records]
        right = sum(r["right"] for r in made) / len(made)
        cost = sum(r["tokens"] for r in made) / every
        return cost <= _BUDGET, float(round(right - 0.05 * cost, 9))

    best = max(options, key=merit)
    return merit(best), best


def _cut(record: Mapping[str, Any], most: int) -> Mapping[str, Any]:
    """The record as it would be with ``most`` gazes, for the worst: what took more of them helped nothing."""
    never, always = record["never"], record["always"]
    took = always.get("gazes", 1)
    if took <= most:
        return record
    tokens = never["tokens"] + (always["tokens"] - never["tokens"]) * most / took
    return {**record, "always": {**always, "right": never["right"], "tokens": tokens}}


def _unlooked(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The run without a closer look; that of ``auto`` spells its answer once more, as it would here."""
    gated = record.get("auto")
    return record["never"] if gated is None or gated["gazes"] else gated  # type: ignore[no-any-return]


def _reads_larger(record: Mapping[str, Any], gate: Mapping[str, float]) -> bool:
    glance = record["never"]
    confidence = 0.0 if glance["text"] is None else glance["confidence"]
    if glance["gain"] >= gate["min_gain"]:
        return bool(confidence < gate["sure_read"])
    return bool(glance["gain"] > 0 and confidence < gate["unsure"])


def _gazes(record: Mapping[str, Any], gate: Mapping[str, float]) -> bool:
    if (record["never"]["glance_confidence"] or 0.0) >= gate["sure"]:
        return False
    return any(
        s["enrichment"] >= gate["min_enrichment"]
        and s["zoom"] >= gate["min_zoom"]
        and s["area"] <= gate["max_area"]
        for s in record["always"].get("look", {}).get("spots", ())
    )
