"""How good is the first stage here? Sampled queries against the exact scan, and settings chosen by them.

A sampled query is a handful of vectors of one page with noise, so that it is near that page and not on it.
Where real queries are known they are better; the caller may pass them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hydra_rag.values import FloatArray
from hydra_rag_indexing.page_table import PageTable
from hydra_rag_indexing.rerank import MOST_BATCHES, enough, score_pages

if TYPE_CHECKING:
    from hydra_rag_indexing.candidates import FirstStage

__all__ = ["TARGET", "sampled_queries", "tune"]

#: Share of the exact ten best that the first stage must bring.
TARGET = 0.993

_BUDGETS = (0.1, 0.2, 0.4, 0.8)
_COUNTS = (20, 30, 50, 75, 100, 150, 200, 300, 400, 600, 800, 1200)
_CAUTIONS = (0.5, 1.0, 1.5, 2.0)
_HITS = 10
#: Length of the noise relative to the vector. Query tokens lie further from pages than pages from each other.
_NOISE = (0.7, 0.95, 1.2)


def sampled_queries(table: PageTable, count: int, *, seed: int = 0) -> list[FloatArray]:
    """``count`` queries [12 … 24, dim], each near a random live page."""
    rng = np.random.default_rng(seed)
    positions = np.flatnonzero(table.alive)
    queries = []
    for number, position in enumerate(rng.choice(positions, count)):
        rows = table.rows(int(position)).float().numpy()
        picked = rows[rng.integers(0, len(rows), int(rng.integers(12, 25)))]
        noise = rng.standard_normal(picked.shape, np.float32)
        noise *= np.linalg.norm(picked, axis=1, keepdims=True) / np.linalg.norm(noise, axis=1, keepdims=True)
        queries.append(np.ascontiguousarray(picked + _NOISE[number % len(_NOISE)] * noise, np.float32))
    return queries


def tune(stage: FirstStage, table: PageTable, queries: Sequence[FloatArray]) -> FirstStage | None:
    """``stage`` with the cheapest settings that reach :data:`TARGET` on ``queries``.

    ``None`` when no settings do at less than half of the exact scan's work. Only pages that the stage
    covers count: the others are scored exactly anyway.
    """
    positions = np.flatnonzero(table.alive & stage.covered)
    if len(positions) <= 3 * _COUNTS[0]:
        return None
    exact = [score_pages(table, query, positions) for query in queries]
    rows_per_page = table.live_rows / max(table.live_pages, 1)
    # One row's exact score costs about as much as twelve postings.
    scan = len(positions) * rows_per_page
    best: tuple[float, float, int, float] | None = None
    for budget in _BUDGETS:
        fixed = float(np.mean([len(q) for q in queries])) * budget * len(table) / 12
        guesses = [stage.estimates(query, len(table), budget)[positions] for query in queries]
        orders = [np.argsort(-g, kind="stable") for g in guesses]
        sorted_guesses = [g[o] for g, o in zip(guesses, orders, strict=True)]
        sorted_exact = [e[o] for e, o in zip(exact, orders, strict=True)]
        for caution in _CAUTIONS:
            for count in _COUNTS:
                tried = [
                    _pages_tried(g, e, count, caution)
                    for g, e in zip(sorted_guesses, sorted_exact, strict=True)
                ]
                work = (float(np.mean(tried)) + float(np.median(tried))) / 2
                cost = fixed + work * rows_per_page
                if cost > scan / 2 or (best is not None and cost >= best[0]):
                    break  # larger counts cost more
                if _mean_recall(sorted_exact, tried) >= TARGET:
                    best = (cost, budget, count, caution)
                    break
    return None if best is None else stage.tuned(best[1], best[2], best[3])


def _pages_tried(guesses: FloatArray, exact: FloatArray, first: int, caution: float) -> int:
    """How many pages a search would score (see ``VectorIndex``), given both for all of them."""
    done = min(first, len(exact))
    while done < min(len(exact), MOST_BATCHES * first):
        if enough(guesses[:done], exact[:done], exact[:done], _HITS, caution):
            break
        done = min(len(exact), done + (done + 1) // 2)
    return done


def _mean_recall(exact: Sequence[FloatArray], tried: Sequence[int]) -> float:
    shares = []
    for scores, count in zip(exact, tried, strict=True):
        bar = np.partition(scores, len(scores) - _HITS)[len(scores) - _HITS]
        shares.append(min(_HITS, int((scores[:count] >= bar).sum())) / _HITS)
    return float(np.mean(shares))
