"""How good is the first stage here? Sampled queries against the exact scan, and settings chosen by them.

A sampled query is a handful of vectors of one page with noise, so that it is near that page and not on it.
Where real queries are known they are better; the caller may pass them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hydra_rag.values import FloatArray
from hydra_rag_indexing.page_table import PageTable
from hydra_rag_indexing.rerank import enough, score_pages

if TYPE_CHECKING:
    from hydra_rag_indexing.codes import Codes
    from hydra_rag_indexing.first_stage import FirstStage

__all__ = ["ACCEPTED", "TARGET", "sampled_queries", "tune"]

#: Share of the exact ten best that the first stage must bring.
TARGET = 0.995
#: On queries that did not choose the settings; below this every search scans.
ACCEPTED = 0.97

_COUNTS = (20, 30, 50, 75, 100, 150, 200, 300, 400, 600, 800, 1200)
#: When to score more and how far: never; or when the estimates leave it open.
_PATIENCE = ((0.0, 1.0), (1.0, 2.0), (1.0, 4.0), (1.0, 8.0), (2.0, 2.0), (2.0, 4.0), (2.0, 8.0))
#: What scoring another batch costs beside its pages, in vectors.
_BATCH = 8000
_HITS = 10
#: Length of the noise relative to the vector. Query tokens lie further from pages than pages from each other.
_NOISE = (0.7, 0.95, 1.2)


def sampled_queries(table: PageTable, count: int, *, seed: int = 0) -> list[FloatArray]:
    """``count`` queries [12 … 24, dim], each near a random live page. Raises ``CorruptionError``."""
    rng = np.random.default_rng(seed)
    positions = np.flatnonzero(table.alive)
    queries = []
    for number, position in enumerate(rng.choice(positions, count)):
        table.verify(np.array([position], np.int64))
        rows = table.rows(int(position)).float().numpy()
        picked = rows[rng.integers(0, len(rows), int(rng.integers(12, 25)))]
        noise = rng.standard_normal(picked.shape, np.float32)
        noise *= np.linalg.norm(picked, axis=1, keepdims=True) / np.linalg.norm(noise, axis=1, keepdims=True)
        queries.append(np.ascontiguousarray(picked + _NOISE[number % len(_NOISE)] * noise, np.float32))
    return queries


def tune(
    stage: FirstStage, table: PageTable, queries: Sequence[FloatArray], codes: Codes | None = None
) -> FirstStage | None:
    """``stage`` with the cheapest settings that reach :data:`TARGET` on every second query.

    The recall on the other half is kept with them. ``None`` when no settings do at less than half of the
    exact scan's work, or the other half falls under :data:`ACCEPTED`. Only pages that the stage covers
    count: the others are scored exactly anyway.
    """
    positions = np.flatnonzero(table.alive & stage.covered)
    if len(positions) <= 3 * _COUNTS[0]:
        return None
    # Meeting a posting costs about as much as the score of one vector by codes, or a sixth from the file.
    posting = 1 / 6
    if codes is not None and (codes.start[positions] >= 0).all():
        posting = 1.0
        exact = [codes.scores(table, query, positions) for query in queries]  # near enough, and sooner
    else:
        exact = [score_pages(table, query, positions) for query in queries]
    bars = [np.partition(e, len(e) - _HITS)[len(e) - _HITS] for e in exact]
    rows_per_page = table.live_rows / max(table.live_pages, 1)
    best: tuple[float, dict[str, Any]] | None = None
    shifts = [stage.shifts(query)[positions] for query in queries]
    query_rows = float(np.mean([len(query) for query in queries]))
    for budget in stage.budgets:
        guesses = [stage.estimates(query, len(table), budget)[positions] for query in queries]
        fixed = stage.effort(query_rows, budget, len(table)) * posting
        for share in stage.shares:
            trials = []
            for guess, shift, scores, bar in zip(guesses, shifts, exact, bars, strict=True):
                total = guess + np.float32(share) * shift
                order = np.argsort(-total, kind="stable")
                trials.append(_Trial(total[order], scores[order], float(bar)))
            limit = len(positions) * rows_per_page / 2 if best is None else best[0]
            found = _cheapest(trials[::2], fixed, rows_per_page, limit)
            if found is not None:
                cost, count, caution, stretch = found
                others = trials[1::2] or trials
                seen = [t.pages(count, caution, int(stretch * count)) for t in others]
                settings = {"share": share, "budget": budget, "candidates": count, "caution": caution}
                best = cost, settings | {"stretch": stretch, "recall": _recall(others, seen)}
    return None if best is None or best[1]["recall"] < ACCEPTED else stage.tuned(**best[1])


def _cheapest(
    trials: Sequence[_Trial], fixed: float, rows_per_page: float, limit: float
) -> tuple[float, int, float, float] | None:
    """Least cost under ``limit`` at which the trials reach the target, with count, caution and stretch."""
    best = None
    for caution, stretch in _PATIENCE:
        for count in _COUNTS:
            tried = [t.pages(count, caution, int(stretch * count)) for t in trials]
            work = (float(np.mean(tried)) + float(np.median(tried))) / 2
            cost = fixed + work * rows_per_page + _BATCH * float(np.mean([n > count for n in tried]))
            if cost >= limit:
                break  # larger counts cost more
            if _recall(trials, tried) >= TARGET:
                best, limit = (cost, count, caution, stretch), cost
                break
    return best


@dataclass(frozen=True)
class _Trial:
    """All pages for one query, best guess first; ``bar``: the tenth best exact score."""

    guesses: FloatArray
    exact: FloatArray
    bar: float

    def pages(self, first: int, caution: float, most: int) -> int:
        """How many pages a search would score (see :mod:`hydra_rag_indexing.staged`)."""
        done, most = min(first, len(self.exact)), min(most, len(self.exact))
        if most > done and enough(self.guesses[:done], self.exact[:done], self.exact[:done], _HITS, caution):
            return done
        return most

    def recall(self, pages: int) -> float:
        return min(_HITS, int((self.exact[:pages] >= self.bar).sum())) / _HITS


def _recall(trials: Sequence[_Trial], tried: Sequence[int]) -> float:
    return float(np.mean([t.recall(n) for t, n in zip(trials, tried, strict=True)]))
