"""Exact MaxSim over pages that lie in memory-mapped segments: full scans, candidate lists, final order."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from hydra_rag.maxsim import exact_scores, packed_scores, score_slack
from hydra_rag.values import FloatArray
from hydra_rag_indexing.page_table import IntArray, PageTable

if TYPE_CHECKING:
    import torch

__all__ = ["MOST_BATCHES", "best_first", "best_pages", "enough", "score_pages"]

#: A query whose hits keep changing scores at most this many times the pages that an easy one does.
MOST_BATCHES = 12

_GATHER_ROWS = 1 << 16
_KEPT = 8 << 20  # numbers in the buffer that a thread keeps
_LONG_RUN = 4096  # rows; shorter runs are gathered, longer ones scored where they lie

_scratch = threading.local()


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
    # Into memory of this thread: fresh memory costs more than the copy.
    need = int(offsets[-1]) * query.shape[1]
    kind = slices[0].dtype
    buffer: torch.Tensor | None = getattr(_scratch, "gathered", None)
    if buffer is None or buffer.numel() < need or buffer.dtype != kind:
        buffer = torch.empty(max(need, 1 << 18), dtype=kind)
        if need <= _KEPT:
            _scratch.gathered = buffer
    rows = buffer[:need].view(-1, query.shape[1])
    torch.cat(slices, out=rows)
    return packed_scores(query, rows, offsets)


def best_first(estimates: FloatArray, count: int, available: int) -> IntArray:
    """The ``count`` positions with the highest estimates, best first, ties by position."""
    if count < available:
        order = np.sort(np.argpartition(-estimates, count - 1)[:count])
    else:
        order = np.flatnonzero(np.isfinite(estimates))
    best: IntArray = order[np.argsort(-estimates[order], kind="stable")]
    return best


def enough(guesses: FloatArray, exact: FloatArray, scores: FloatArray, k: int, caution: float) -> bool:
    """Whether scoring more pages is unlikely to change the first ``k``.

    ``guesses`` and ``exact``: estimate and score of the pages tried so far, best guess first; ``scores``: all
    scores, those of uncovered pages too. The pages not tried have lower guesses than the last one; if even
    that guess, plus how much guesses fall short on the weaker two thirds, plus ``caution`` standard
    deviations of it, stays below the ``k``-th score, it is enough.
    """
    if len(scores) < k:
        return False
    short = (exact - guesses)[len(guesses) // 3 :]
    bar = np.partition(scores, len(scores) - k)[len(scores) - k]
    return bool(guesses[-1] + short.mean() + caution * short.std() < bar)


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
