"""Fusion of the rankings by looks and by words, by how surprising each score is among those beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["fuse_evidence"]

_TAIL = 5  # the rank that the first pages of a ranking are compared with
_MOST = 8.0  # evidence of one ranking at most: once in 3,000 times by chance
_WORDS = 1.5  # what the evidence of words counts beside that of looks
_REST = 0.1  # evidence of that rank: pages behind it keep their order and little else


def fuse_evidence(
    visual: Sequence[tuple[int, float]], text: Sequence[tuple[int, float]], ideal: float | None
) -> list[tuple[int, float]]:
    """Fuse (key, score) rankings, best first, of MaxSim and of words; scores 0 to 1, best first, ties by key.

    Every score becomes evidence: how far it stands above the fifth, in units of what chance would give, which
    the ranking itself tells by the spread of its scores. So it does not matter how far apart a model's scores
    lie: what counts is whether the first stands out from its neighbours. Pages that a ranking did not find
    have none of its evidence. That of words is bounded by how close the best page comes to ``ideal``, the
    score of an average page with every word of the query (``None``: by how far it stands out from the fifth):
    where no page has them, the right one may be a scan, or say it in other words.

    Measured with ``nano`` on 222 pages of manuals and 91 questions (the choosing list of
    ``benchmarks/manuals``), recall@1 and @5: 29 in the manuals' words 1.00 and 1.00, with the right page's
    words taken away 0.38 and 0.97; 62 in other words 0.24 and 0.50 (by words alone 0.27 and 0.63, by looks
    alone 0.08 and 0.13). Counting little of what chance gives looks anyway made that 0.56, but gained nothing
    on the list that is reported, and lost two of 48 pages whose words were taken away there.
    """
    fused: dict[int, float] = {}
    for (key, _), found in zip(visual, _evidence([score for _, score in visual], _MOST), strict=True):
        fused[key] = found
    if text:
        scores = [score for _, score in text]
        best = max(scores[0], 1e-9)
        share = _stands_out(scores) if ideal is None else min(1.0, best / max(ideal, 1e-9))
        pages = scores + [0.0] * (len(visual) - len(text))
        for (key, _), found in zip(text, _evidence(pages, _MOST * share**2), strict=False):
            fused[key] = fused.get(key, 0.0) + _WORDS * math.sqrt(share) * found
    whole = (_MOST + _REST) * (1 + _WORDS)
    return sorted(((key, found / whole) for key, found in fused.items()), key=lambda i: (-i[1], i[0]))


def _evidence(scores: Sequence[float], most: float) -> list[float]:
    """Of each score, best first, 0 to ``most`` + ``_REST``.

    Where the scores of wrong pages fall off exponentially, the a-th best of n stands above the last by
    1/a + ... + 1/(n-1) times their scale (Rényi 1953, On the theory of order statistics): so that is known.
    The first are left out of it, as the right pages may be among them.
    """
    count = len(scores)
    if count < 2:
        return [min(1.0, most) + _REST] * count
    first = 1 if count < 5 else 2 if count < 20 else 5
    last, base = scores[-1], scores[min(_TAIL, count) - 1]
    scale = (scores[first - 1] - last) / sum(1 / a for a in range(first, count))
    scale = max(scale, (scores[0] - base) / max(most, 1e-9), 1e-12)
    rest = max(base - last, 1e-12)
    return [
        _REST + (score - base) / scale if score >= base else _REST * max(0.0, score - last) / rest
        for score in scores
    ]


def _stands_out(scores: Sequence[float]) -> float:
    """How far the first score stands above the fifth, as a share of it: 0 to 1."""
    best = scores[0]
    tail = scores[min(_TAIL, len(scores)) - 1] if len(scores) > 1 else 0.0
    return min(1.0, max(0.0, (best - tail) / max(abs(best), 1e-9)))
