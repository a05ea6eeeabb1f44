"""Pure scores of answers, reading and retrieval. No torch, no files.

ANLS: Biten et al., "Scene Text Visual Question Answering", 2019. nDCG with binary relevance and the
usual log2 discount.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Collection, Hashable, Sequence

__all__ = [
    "anls",
    "char_accuracy",
    "edit_distance",
    "exact_match",
    "mean",
    "ndcg",
    "normalise",
    "recall",
    "similarity",
]

_END_PUNCTUATION = ".,;:!?\u2026\u3002\uff0c\uff1b\uff1a\uff01\uff1f"


def normalise(text: str) -> str:
    """NFKC, case-folded, runs of white space made one space, outer space and end punctuation gone."""
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return unicodedata.normalize("NFKC", folded).rstrip(_END_PUNCTUATION + " ")


def edit_distance(one: Sequence[Hashable], other: Sequence[Hashable], limit: int | None = None) -> int:
    """Levenshtein distance. With ``limit``, any distance above it is reported as ``limit + 1``."""
    if len(one) < len(other):
        one, other = other, one
    if limit is not None and len(one) - len(other) > limit:
        return limit + 1
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        corner, row[0] = row[0], i
        for j, b in enumerate(other, start=1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (a != b))
        if limit is not None and min(row) > limit:
            return limit + 1
    return row[-1]


def similarity(one: str, other: str) -> float:
    """1 - edit distance / longer length, 0.0 to 1.0; two empty strings are equal."""
    longer = max(len(one), len(other))
    return 1.0 - edit_distance(one, other) / longer if longer else 1.0


def exact_match(prediction: str, answer: str) -> bool:
    """Equal after :func:`normalise`."""
    return normalise(prediction) == normalise(answer)


def anls(prediction: str, answers: str | Sequence[str], threshold: float = 0.5) -> float:
    """Average normalised Levenshtein similarity of one question: the best answer's similarity after
    :func:`normalise`, or 0.0 where that is under ``threshold``."""
    golds = [answers] if isinstance(answers, str) else list(answers)
    best = max((similarity(normalise(prediction), normalise(gold)) for gold in golds), default=0.0)
    return best if best >= threshold else 0.0


def char_accuracy(prediction: str, truth: str) -> float:
    """1 - edit distance / length of the truth, not under 0.0. White space runs count as one space."""
    read, real = " ".join(prediction.split()), " ".join(truth.split())
    if not real:
        return 1.0 if not read else 0.0
    return max(0.0, 1.0 - edit_distance(read, real) / len(real))


def ndcg(ranked: Sequence[Hashable], relevant: Collection[Hashable], k: int) -> float:
    """Normalised discounted cumulative gain of the first ``k``; ``relevant`` must not be empty."""
    gain = sum(1.0 / math.log2(rank + 2) for rank, item in enumerate(ranked[:k]) if item in relevant)
    ideal = sum(1.0 / math.log2(rank + 2) for rank in range(min(k, len(set(relevant)))))
    return gain / ideal


def recall(ranked: Sequence[Hashable], relevant: Collection[Hashable], k: int) -> float:
    """Share of the relevant items among the first ``k``; ``relevant`` must not be empty."""
    return len(set(ranked[:k]) & set(relevant)) / len(set(relevant))


def mean(values: Sequence[float]) -> float | None:
    """The arithmetic mean, or ``None`` of nothing."""
    return sum(values) / len(values) if values else None
