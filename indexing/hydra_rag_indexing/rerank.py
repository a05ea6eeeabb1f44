"""Exact MaxSim over pages that lie in memory-mapped segments: full scans, candidate lists, final order."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hydra_rag.errors import UsageError
from hydra_rag.maxsim import exact_scores, packed_scores, score_slack
from hydra_rag.values import FloatArray
from hydra_rag_indexing.page_table import IntArray, PageTable

if TYPE_CHECKING:
    import torch

__all__ = ["best_first", "best_pages", "checked_query", "enough", "score_pages"]

_CHUNK = 1 << 19  # numbers gathered at a time: what the processor's own cache holds

_scratch = threading.local()


def checked_query(query: npt.ArrayLike, dim: int) -> FloatArray:
    """float32 [rows, dim]. Raises ``UsageError`` for anything that is no query."""
    rows = np.ascontiguousarray(query, np.float32)
    if rows.ndim != 2 or not len(rows) or rows.shape[1] != dim:
        raise UsageError(f"A query must be [rows >= 1, {dim}], got shape {rows.shape}.")
    if not np.isfinite(rows).all():
        raise UsageError("The query has values that are not finite.")
    return rows


def score_pages(table: PageTable, query: FloatArray, positions: IntArray) -> FloatArray:
    """float32 MaxSim of the pages at ``positions``, in that order. ``CorruptionError`` on damaged pages."""
    scores = np.empty(len(positions), np.float32)
    if not len(positions):
        return scores
    table.verify(positions)
    # In the order of the files: neighbours in a segment become one run, scored without copying.
    order = np.lexsort((table.start[positions], table.segment[positions]))
    at = positions[order]
    ends = np.cumsum(table.count[at])
    limit = max(1, _CHUNK // max(query.shape))
    first = 0
    while first < len(at):
        base = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, base + limit, side="right")))
        some = at[first:last]
        offsets = np.concatenate([[0], ends[first:last] - base])
        scores[order[first:last]] = packed_scores(query, _gathered(table, some, offsets), offsets)
        first = last
    return scores


def _gathered(table: PageTable, positions: IntArray, offsets: IntArray) -> torch.Tensor:
    """The rows of these pages (in the order of the files) one after the other: a view where they lie so."""
    import torch

    segment, start, count = table.segment[positions], table.start[positions], table.count[positions]
    total = int(offsets[-1])
    breaks = np.flatnonzero(segment[1:] != segment[:-1]) + 1
    vectors = table.segments[int(segment[0])].vectors
    if not len(breaks) and int(start[-1] + count[-1] - start[0]) == total:
        return vectors[int(start[0]) : int(start[0]) + total]
    if len(breaks) * 2 > len(positions):
        return torch.cat([table.rows(p) for p in positions.tolist()])
    # Into memory of this thread: fresh memory costs more than the copy.
    buffer: torch.Tensor | None = getattr(_scratch, "gathered", None)
    need = total * vectors.shape[1]
    if buffer is None or buffer.numel() < need or buffer.dtype != vectors.dtype:
        buffer = torch.empty(max(need, _CHUNK), dtype=vectors.dtype)
        if need <= 2 * _CHUNK:
            _scratch.gathered = buffer
    rows = buffer[:need].view(total, vectors.shape[1])
    where = torch.from_numpy(np.repeat(start - offsets[:-1], count) + np.arange(total))
    bounds = [0, *breaks.tolist(), len(positions)]
    for a, b in pairwise(bounds):
        i, j = int(offsets[a]), int(offsets[b])
        source = table.segments[int(segment[a])].vectors
        if source.dtype != rows.dtype:  # stores of mixed precision
            return torch.cat([table.rows(p).to(torch.float32) for p in positions.tolist()])
        torch.index_select(source, 0, where[i:j], out=rows[i:j])
    return rows


def best_first(estimates: FloatArray, count: int, available: int) -> IntArray:
    """The ``count`` positions with the highest estimates, best first, ties by position.

    ``available``: how many are finite. A larger ``count`` gives the same positions, and more after them.
    """
    if count < available:
        last = np.partition(estimates, len(estimates) - count)[len(estimates) - count]
        above = np.flatnonzero(estimates > last)
        level = np.flatnonzero(estimates == last)[: count - len(above)]
        order = np.concatenate([above, level])
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
    table: PageTable,
    query: FloatArray,
    positions: IntArray,
    scores: FloatArray,
    k: int,
    slack: float = 0.0,
) -> list[tuple[int, float]]:
    """The ``k`` best of ``positions`` as (key, score), by exact score, ties by key.

    ``scores`` may be off by ``slack`` and in the last places of float32, so every page that could still
    belong to the first ``k`` is scored again in float64: equal pages get equal scores whatever stood beside
    them.
    """
    k = min(k, len(positions))
    if k < 1:
        return []
    slack += score_slack(query, table.max_norm)
    threshold = np.partition(scores, len(scores) - k)[len(scores) - k] - 2.0 * slack
    chosen = positions[scores >= threshold]
    table.verify(chosen)
    exact = exact_scores(query, [table.rows(p) for p in chosen.tolist()])
    keys = table.keys[chosen]
    order = np.lexsort((keys, -exact))[:k]
    return [(int(keys[i]), float(exact[i])) for i in order]
