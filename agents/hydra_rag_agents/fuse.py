"""One ranking from several searches of the same question (whole image, crop)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from hydra_rag.ranking import reciprocal_rank_fusion

__all__ = ["CROP_WEIGHT", "fuse"]

T = TypeVar("T", bound=Any)
#: What a search with a crop counts beside the one with the whole image.
CROP_WEIGHT = 2.0


def fuse(rankings: Sequence[Sequence[T]]) -> list[T]:
    """Reciprocal rank fusion of hits or candidates; the first ranking is that of the whole query, the others
    of its crops. Pages are told apart by document and page number. A single ranking stays as it is."""
    if len(rankings) == 1:
        return list(rankings[0])
    first: dict[tuple[str, int], T] = {}
    for ranking in rankings:
        for hit in ranking:
            first.setdefault(_key(hit), hit)
    keys = list(first)
    number = {key: index for index, key in enumerate(keys)}
    named = {str(i): [number[_key(hit)] for hit in ranking] for i, ranking in enumerate(rankings)}
    weights = {name: 1.0 if name == "0" else CROP_WEIGHT for name in named}
    fused = reciprocal_rank_fusion(named, weights=weights)
    return [
        replace(first[keys[index]], rank=rank, score=score)
        for rank, (index, score) in enumerate(fused, start=1)
    ]


def _key(hit: Any) -> tuple[str, int]:
    page = getattr(hit, "id", None)
    return (page.document_id, page.page) if page is not None else (hit.document_id, hit.page)
