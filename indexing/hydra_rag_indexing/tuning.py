"""How good is the first stage here? Sampled queries against the exact scan, and settings chosen by them.

A sampled query is a handful of vectors of one page with noise, so that it is near that page and not on it.
Where real queries are known they are better; the caller may pass them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hydra_rag.values import FloatArray
from hydra_rag_indexing.first_stage import row_norms
from hydra_rag_indexing.page_table import IntArray, PageTable
from hydra_rag_indexing.rerank import best_first, enough, score_pages

if TYPE_CHECKING:
    from hydra_rag_indexing.codes import Codes
    from hydra_rag_indexing.first_stage import FirstStage

__all__ = ["ACCEPTED", "TARGET", "sampled_queries", "tune"]

#: Share of the exact ten best that the first stage must bring: the mean of all queries less its error.
TARGET = 0.992
#: On queries that did not choose the settings; below this every search scans.
ACCEPTED = 0.97

#: Pages to score at first, and how many times as many when the estimates leave it open (see ``enough``).
_COUNTS = (20, 30, 50, 75, 100, 150, 200, 300, 400, 600, 800, 1200)
_STRETCHES = (2.0, 4.0, 8.0)
#: How sure they must be: bare estimates, whose differences are too small, and weighed ones. With less, and
#: with a fixed number of pages, queries of other kinds than the sampled ones found less; with more, most
#: queries took the second batch.
_CAUTION, _WEIGHED_CAUTION = 1.5, 2.5
#: Queries that weigh what estimates are made of, and how many pages of each.
_FITTED, _FITTED_PAGES = 48, 300
#: What scoring another batch costs beside its pages, in vectors.
_BATCH = 8000
_HITS = 10
#: Length of the noise relative to the vector. Query tokens lie further from pages than pages from each other.
_NOISE = (0.7, 0.95, 1.2)
_ROWS = (6, 24)


def sampled_queries(table: PageTable, count: int, *, seed: int = 0) -> list[FloatArray]:
    """``count`` queries [6 … 24, dim], each near a random live page. Raises ``CorruptionError``."""
    rng = np.random.default_rng(seed)
    positions = np.flatnonzero(table.alive)
    queries = []
    for number, position in enumerate(rng.choice(positions, count)):
        table.verify(np.array([position], np.int64))
        rows = table.rows(int(position)).float().numpy()
        picked = rows[rng.integers(0, len(rows), int(rng.integers(*_ROWS, endpoint=True)))]
        noise = rng.standard_normal(picked.shape, np.float32)
        noise *= np.linalg.norm(picked, axis=1, keepdims=True) / np.linalg.norm(noise, axis=1, keepdims=True)
        queries.append(np.ascontiguousarray(picked + _NOISE[number % len(_NOISE)] * noise, np.float32))
    return queries


def tune(
    stage: FirstStage, table: PageTable, queries: Sequence[FloatArray], codes: Codes | None = None
) -> FirstStage | None:
    """``stage`` with the cheapest settings that reach :data:`TARGET` on two of every three queries.

    The recall on the others is kept with them. ``None`` when no settings do at less than half of the exact
    scan's work, or the others fall under :data:`ACCEPTED`. Only pages that the stage covers count: the
    rest is scored exactly anyway.
    """
    positions = np.flatnonzero(table.alive & stage.covered)
    if len(positions) <= 3 * _COUNTS[0]:
        return None
    coded = codes if codes is not None and (codes.start[positions] >= 0).all() else None
    # Meeting a posting costs about as much as the score of one vector by codes, or a sixth from the file.
    posting = 1 / 6 if coded is None else 1.0
    asking = np.arange(len(queries)) // len(_NOISE) % 3 < 2  # with every noise on both sides
    others = ~asking if (~asking).any() else asking
    fitted = [query for query, chosen in zip(queries, asking, strict=True) if chosen][:_FITTED]
    bare = stage.tuned(length=0.0, slope=1.0, caution=_CAUTION)
    stages: list[FirstStage] = [bare.tuned(budget=b, share=s) for b in stage.budgets for s in stage.shares]
    stages += _weighed(stage, table, fitted, positions, coded)
    trials = [_trial(stages, table, query, positions, coded) for query in queries]
    sure = np.array([trial[0] for trial in trials])  # [queries, stages, counts]
    found = np.array([trial[1] for trial in trials])  # [queries, stages, counts, 1 + stretches]
    rows_per_page = table.live_rows / max(table.live_pages, 1)
    query_rows = float(np.mean([len(query) for query in queries]))
    best, chosen = len(positions) * rows_per_page / 2, None
    for (t, c), _ in np.ndenumerate(sure[0]):
        fixed = stage.effort(query_rows, stages[t].settings.budget, len(table)) * posting
        done, first = sure[:, t, c], min(_COUNTS[c], len(positions))
        for number, stretch in enumerate(_STRETCHES, 1):
            pages = np.where(done, first, min(int(stretch * first), len(positions)))[asking]
            work = (pages.mean() + np.median(pages)) / 2
            cost = fixed + work * rows_per_page + _BATCH * float(np.mean(~done[asking]))
            recall = np.where(done, found[:, t, c, 0], found[:, t, c, number])
            error = recall[asking].std() / np.sqrt(asking.sum())
            if cost < best and recall[asking].mean() - error >= TARGET:
                best, kept = cost, {"candidates": _COUNTS[c], "stretch": stretch}
                chosen = stages[t].tuned(**kept, recall=float(recall[others].mean()))
    return chosen if chosen is not None and chosen.settings.recall >= ACCEPTED else None


def _exact(table: PageTable, query: FloatArray, positions: IntArray, codes: Codes | None) -> FloatArray:
    """Scores by codes: near enough, and sooner."""
    return score_pages(table, query, positions) if codes is None else codes.scores(table, query, positions)


def _weighed(
    stage: FirstStage,
    table: PageTable,
    queries: Sequence[FloatArray],
    positions: IntArray,
    codes: Codes | None,
) -> list[FirstStage]:
    """For every budget the stage whose ``slope``, ``share`` and ``length`` are least squares over the pages
    that matter."""
    samples: list[list[tuple[FloatArray, FloatArray]]] = [[] for _ in stage.budgets]
    for query in queries:
        exact = _exact(table, query, positions, codes)
        shift, length = stage.shifts(query)[positions], row_norms(query) * table.log_count[positions]
        for budget, column in zip(stage.budgets, samples, strict=True):
            estimates = stage.estimates(query, len(table), budget)[positions]
            near = best_first(estimates + shift, min(_FITTED_PAGES, len(positions)), len(positions))
            signs = np.stack([estimates[near], shift[near], length[near]], 1)
            column.append((signs - signs.mean(0), exact[near] - exact[near].mean()))
    made = []
    for budget, column in zip(stage.budgets, samples, strict=True):
        signs, exact = (np.concatenate(parts) for parts in zip(*column, strict=True))
        slope, share, length = np.linalg.lstsq(signs, exact, rcond=1e-4)[0].tolist()
        if slope > 0:
            weights = {"share": max(0.0, share / slope), "length": max(0.0, length / slope)}
            made.append(stage.tuned(budget=budget, slope=slope, caution=_WEIGHED_CAUTION, **weights))
    return made


def _trial(
    stages: Sequence[FirstStage],
    table: PageTable,
    query: FloatArray,
    positions: IntArray,
    codes: Codes | None,
) -> tuple[list[list[bool]], list[FloatArray]]:
    """One query with every stage and count: whether the first batch was enough, and the share of
    the ten best in it and in the larger ones."""
    exact = _exact(table, query, positions, codes)
    bar = np.partition(exact, len(exact) - _HITS)[len(exact) - _HITS]
    outcomes = [
        _outcome(stage.guesses(query, table)[positions], exact, bar, stage.settings.caution)
        for stage in stages
    ]
    return [outcome[0] for outcome in outcomes], [outcome[1] for outcome in outcomes]


def _outcome(
    guesses: FloatArray, exact: FloatArray, bar: np.float32, caution: float
) -> tuple[list[bool], FloatArray]:
    """For every count: as in :func:`_trial`. What a search does is in :mod:`hydra_rag_indexing.staged`."""
    pages = len(guesses)
    order = best_first(guesses, min(int(_COUNTS[-1] * _STRETCHES[-1]), pages), pages)
    guesses, exact = guesses[order], exact[order]
    reached = np.minimum(np.cumsum(exact >= bar), _HITS).astype(np.float32) / _HITS
    counts = [min(count, pages) for count in _COUNTS]
    sure = [enough(guesses[:n], exact[:n], exact[:n], _HITS, caution) for n in counts]
    tried = np.minimum(np.outer(counts, (1.0, *_STRETCHES)).astype(np.int64), pages)
    return sure, reached[tried - 1]
