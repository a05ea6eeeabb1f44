"""Fusion of rankings by ranks alone, for rankings whose scores can't be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["reciprocal_rank_fusion"]


def reciprocal_rank_fusion(
    rankings: Mapping[str, Sequence[int]], *, k: int = 60, weights: Mapping[str, float] | None = None
) -> list[tuple[int, float]]:
    """Fuse rankings of keys (best first) into one list of (key, score), best first.

    ``score = sum over rankings of weight / (k + rank)``, rank from 1; a repeated key counts where it stands
    first (Cormack, Clarke, Büttcher, SIGIR 2009). Equal scores are ordered by the better single rank, then
    by key: the result does not depend on the order of ``rankings``.
    """
    scores: dict[int, float] = {}
    best: dict[int, int] = {}
    for name in sorted(rankings):
        weight = 1.0 if weights is None else weights.get(name, 1.0)
        for rank, key in enumerate(dict.fromkeys(rankings[name]), start=1):
            scores[key] = scores.get(key, 0.0) + weight / (k + rank)
            best[key] = min(best.get(key, rank), rank)
    return sorted(scores.items(), key=lambda item: (-item[1], best[item[0]], item[0]))
