"""Search of large collections: score the pages that a first stage names, or all by their one-byte copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hydra_rag.values import FloatArray
from hydra_rag_indexing.page_table import IntArray, PageTable
from hydra_rag_indexing.rerank import best_first, best_pages, enough, score_pages

if TYPE_CHECKING:
    from hydra_rag_indexing.codes import Codes
    from hydra_rag_indexing.first_stage import FirstStage

__all__ = ["coded_search", "staged_search"]


def staged_search(
    table: PageTable,
    stage: FirstStage,
    codes: Codes | None,
    tail: IntArray,
    query: FloatArray,
    k: int,
    alive: npt.NDArray[np.bool_],
) -> list[tuple[int, float]]:
    """The ``k`` best of the ``alive`` positions; those of ``tail``, which the stage lacks, are all scored.

    How many pages are scored at most was chosen on searches of everything. A filter may leave only pages that
    are far from the query, whose estimates tell nothing, so a filtered search goes on until it is sure.
    """
    pages = len(table)
    allowed = table.live_pages if alive is table.alive else int(alive.sum())
    # What belongs to pages that may not be returned spends the budget too.
    estimates = stage.guesses(query, table, wider=min(8.0, pages / allowed))
    if allowed < pages or len(tail):
        estimates[~(alive & stage.covered)] = -np.inf
    tail = tail[alive[tail]]
    chosen, scores = tail, _scores(table, codes, query, tail)
    available = allowed - len(tail)
    first = stage.first_batch(k)
    most = stage.most_pages(first)
    done, wanted = 0, first
    while done < available:
        order = best_first(estimates, min(wanted, available), available)
        new = order[done:]
        fresh = _scores(table, codes, query, new)
        chosen, scores = np.concatenate([chosen, new]), np.concatenate([scores, fresh])
        done = len(order)
        if enough(estimates[order], scores[len(tail) :], scores, k, stage.settings.caution):
            break
        if done >= most and allowed == table.live_pages:
            break
        wanted = max(most, stage.most_pages(done))
    slack = 0.0 if codes is None else codes.slack(query, chosen, table.max_norm)
    return best_pages(table, query, chosen, scores, k, slack)


def coded_search(
    table: PageTable, codes: Codes, query: FloatArray, positions: IntArray, k: int
) -> list[tuple[int, float]]:
    """The ``k`` best of ``positions``, all of them scored: by codes, and exactly where that may matter."""
    scores = _scores(table, codes, query, positions)
    return best_pages(table, query, positions, scores, k, codes.slack(query, positions, table.max_norm))


def _scores(table: PageTable, codes: Codes | None, query: FloatArray, positions: IntArray) -> FloatArray:
    """By codes where a page has some; those without are scored from the file, and get codes."""
    if codes is None or not len(positions):
        return score_pages(table, query, positions)
    coded = codes.start[positions] >= 0
    if coded.all():
        return codes.scores(table, query, positions)
    scores = np.empty(len(positions), np.float32)
    scores[coded] = codes.scores(table, query, positions[coded])
    scores[~coded] = score_pages(table, query, positions[~coded])
    codes.fill(table, positions[~coded])
    return scores
