"""Exact MaxSim over pages that lie in memory-mapped segments: full scans, candidate lists, final order."""

from __future__ import annotations

import numpy as np

from hydra_rag.maxsim import exact_scores, packed_scores, score_slack
from hydra_rag.values import FloatArray
from hydra_rag_indexing.page_table import IntArray, PageTable

__all__ = ["best_pages", "score_pages"]

_GATHER_ROWS = 1 << 16
_LONG_RUN = 4096  # rows; shorter runs are gathered, longer ones scored where they lie


def score_pages(table: PageTable, query: FloatArray, positions: IntArray) -> FloatArray:
    """float32 MaxSim of the pages at ``positions``, in that order. ``CorruptionError`` on damaged pages."""
    scores = np.empty(len(positions), np.float32)
    if not len(positions):
        return scores
    table.verify(positions)
    # In the order of the files: neighbours in a segment become one run, scored without copying.
    order = np.lexsort((table.start[positions], table.segment[positions]))
    at = positions[order]
    segment, start, count = table.segment[at], table.start[at], table.count[at]
    breaks = np.flatnonzero((segment[1:] != segment[:-1]) | (start[1:] != start[:-1] + count[:-1])) + 1
    bounds = np.concatenate([[0], breaks, [len(at)]])
    lengths = np.add.reduceat(count, bounds[:-1])
    pending: list[int] = []
    waiting = 0
    for i in range(len(bounds) - 1):
        first, last = int(bounds[i]), int(bounds[i + 1])
        if lengths[i] >= _LONG_RUN:
            begin = int(start[first])
            rows = table.segments[int(segment[first])].vectors[begin : begin + int(lengths[i])]
            offsets = np.concatenate([[0], np.cumsum(count[first:last])])
            scores[order[first:last]] = packed_scores(query, rows, offsets)
            continue
        pending.extend(range(first, last))
        waiting += int(lengths[i])
        if waiting >= _GATHER_ROWS:
            scores[order[pending]] = _gathered(table, query, at[pending])
            pending, waiting = [], 0
    if pending:
        scores[order[pending]] = _gathered(table, query, at[pending])
    return scores


def _gathered(table: PageTable, query: FloatArray, positions: IntArray) -> FloatArray:
    import torch

    slices = [table.rows(p) for p in positions.tolist()]
    offsets = np.concatenate([[0], np.cumsum(table.count[positions])])
    return packed_scores(query, torch.cat(slices), offsets)


def best_pages(
    table: PageTable, query: FloatArray, positions: IntArray, scores: FloatArray, k: int
) -> list[tuple[int, float]]:
    """The ``k`` best of ``positions`` as (key, score), by exact score, ties by key.

    ``scores`` are float32 and may be off in the last places, so every page that could still belong to the
    first ``k`` is scored again in float64: equal pages get equal scores whatever stood beside them.
    """
    k = min(k, len(positions))
    if k < 1:
        return []
    slack = score_slack(query, table.max_norm)
    threshold = np.partition(scores, len(scores) - k)[len(scores) - k] - 2.0 * slack
    chosen = positions[scores >= threshold]
    table.verify(chosen)
    exact = exact_scores(query, [table.rows(p) for p in chosen.tolist()])
    keys = table.keys[chosen]
    order = np.lexsort((keys, -exact))[:k]
    return [(int(keys[i]), float(exact[i])) for i in order]
