"""Pages of documents that a question names come first: a ranking beside those by looks and by words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["named_ranking", "preferred"]

#: What it counts to be the first page of a document that is certainly meant, beside the best that looks and
#: words can give together, of which the right page seldom has half; and beside the best score by words alone.
_NAMED, _NAMED_WORDS = 0.5, 1.0
_SLOW = 10  # pages further down have less of it: of a long document a few come first, not all


def named_ranking(
    weights: Mapping[int, float], order: Sequence[tuple[int, float]], within: Sequence[int]
) -> list[tuple[int, float]]:
    """Pages (key, weight) of named documents, surest first, then as ``order`` has them, then as ``within``,
    a ranking of these alone, which also knows pages that ``order`` does not reach."""
    places: dict[int, int] = {}
    for key in (*(key for key, _ in order), *within):
        if key in weights:
            places.setdefault(key, len(places))
    return [(key, weights[key]) for key in sorted(places, key=lambda key: (-weights[key], places[key]))]


def preferred(
    order: Sequence[tuple[int, float]], named: Sequence[tuple[int, float]], *, bounded: bool
) -> list[tuple[int, float]]:
    """``order`` (key, score) with what naming adds, best first, ties by key.

    ``bounded``: scores are 0 to 1, and stay so.
    Every page of ``order`` stays in it, and without named pages it is returned as it is.
    """
    if not named:
        return list(order)
    scores = dict(order)
    most = _NAMED if bounded else _NAMED_WORDS * max([1.0, *scores.values()])
    for rank, (key, weight) in enumerate(named):
        scores[key] = scores.get(key, 0.0) + most * weight / (1 + rank / _SLOW)
    whole = 1 + most if bounded else 1.0
    return sorted(((key, score / whole) for key, score in scores.items()), key=lambda i: (-i[1], i[0]))
