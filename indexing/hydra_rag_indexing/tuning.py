"""How good is the first stage here? Sampled queries against the exact scan, and settings chosen by them.

A sampled query is a handful of vectors of one page with noise, so that it is near that page and not on it.
Where real queries are known they are better; the caller may pass them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hydra_rag.values import FloatArray
from hydra_rag_indexing.page_table import IntArray, PageTable
from hydra_rag_indexing.rerank import score_pages

if TYPE_CHECKING:
    from hydra_rag_indexing.candidates import FirstStage

__all__ = ["TARGET", "sampled_queries", "tune"]

#: Share of the exact ten best that the first stage must bring.
TARGET = 0.995

_BUDGETS = (0.05, 0.1, 0.2, 0.4, 0.8)
_COUNTS = (30, 50, 75, 100, 150, 200, 300, 400, 600, 800, 1200)
_HITS = 10


def sampled_queries(table: PageTable, count: int, *, seed: int = 0) -> list[FloatArray]:
    """``count`` queries [8 … 24, dim], each near a random live page."""
    rng = np.random.default_rng(seed)
    positions = np.flatnonzero(table.alive)
    queries = []
    for number, position in enumerate(rng.choice(positions, count)):
        rows = table.rows(int(position)).float().numpy()
        picked = rows[rng.integers(0, len(rows), int(rng.integers(8, 25)))]
        noise = rng.standard_normal(picked.shape, np.float32)
        noise *= np.linalg.norm(picked, axis=1, keepdims=True) / np.linalg.norm(noise, axis=1, keepdims=True)
        queries.append(np.ascontiguousarray(picked + (0.7, 1.0, 1.3)[number % 3] * noise, np.float32))
    return queries


def tune(stage: FirstStage, table: PageTable, queries: Sequence[FloatArray]) -> FirstStage | None:
    """``stage`` with the cheapest settings that reach :data:`TARGET` on ``queries``.

    ``None`` when no settings do at less than a third of the exact scan's work. Only pages that the stage
    covers count: the others are scored exactly anyway.
    """
    positions = np.flatnonzero(table.alive & stage.covered)
    if len(positions) <= 3 * _COUNTS[0]:
        return None
    pages = len(table)
    best = [_top(score_pages(table, query, positions), positions) for query in queries]
    rows_per_page = table.live_rows / max(table.live_pages, 1)
    chosen: tuple[float, float, int] | None = None
    for budget in _BUDGETS:
        ranks = []
        for query, wanted in zip(queries, best, strict=True):
            estimates = stage.estimates(query, pages, budget)[positions]
            order = np.empty(pages, np.int64)
            order[positions[np.argsort(-estimates, kind="stable")]] = np.arange(len(positions))
            ranks.append(order[wanted])
        found = np.concatenate(ranks)
        for count in _COUNTS:
            if 3 * count > len(positions) or (found < count).mean() < TARGET:
                continue
            # One posting costs about as much as a tenth of a row's exact score.
            cost = 0.1 * budget * pages + count * rows_per_page
            if chosen is None or cost < chosen[0]:
                chosen = (cost, budget, count)
            break
    return None if chosen is None else stage.tuned(chosen[1], chosen[2])


def _top(scores: FloatArray, positions: IntArray) -> IntArray:
    count = min(_HITS, len(positions))
    top: IntArray = positions[np.argpartition(-scores, count - 1)[:count]]
    return top
