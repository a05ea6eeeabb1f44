"""The retrieval part of an evaluation: by looks, by words, by both, and with parts of own images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra_rag.metrics import mean, ndcg, recall
from hydra_rag.values import QueryItem
from hydra_rag_agents.crop_eval import CropFigures
from hydra_rag_agents.eval_data import EvalPage, EvalQuery, open_image

if TYPE_CHECKING:
    from hydra_rag.model import HydraModel
    from hydra_rag.values import MultiVector
    from hydra_rag_agents.ports import Reader

__all__ = ["retrieve"]

_DEPTH = 50  # of the rankings that are fused
Figures = dict[str, Any] | None


def retrieve(
    folder: Path,
    model: HydraModel,
    reader: Reader,
    pages: Sequence[EvalPage],
    queries: Sequence[EvalQuery],
    vectors: Mapping[str, MultiVector],
    log: Callable[[dict[str, Any]], None],
) -> tuple[Figures, Figures]:
    """Figures of retrieval by mode, and of searching with parts of own images. Ranks all pages each time."""
    if not queries:
        return None, None
    from hydra_rag.maxsim import maxsim_many
    from hydra_rag.nearby import reranked
    from hydra_rag_agents.eval_text import TextRanker
    from hydra_rag_indexing.files.page import join_words
    from hydra_rag_indexing.fusion import fuse_evidence

    names = [page.image for page in pages]
    stored = [vectors[name].vectors for name in names]
    words = any(page.words for page in pages)
    scores: dict[str, list[tuple[float, float]]] = {"visual": [], "text": [], "hybrid": []}

    def by_looks(item: QueryItem) -> list[tuple[int, float]]:
        query = model.embed_queries([item])[0]
        similar = [float(score) for score in maxsim_many(query.vectors, stored)]
        ranking = sorted(enumerate(similar), key=lambda found: (-found[1], found[0]))
        return reranked(query, ranking, lambda i: vectors[names[i]])

    own = CropFigures(reader, lambda item: [(names[i], score) for i, score in by_looks(item)])
    with TextRanker([join_words(list(page.words)) for page in pages]) as ranker:
        for query in queries:
            looks = by_looks(_item(folder, query))
            ranked = {"visual": [i for i, _ in looks]}
            if words and query.query.strip():
                wordy = ranker.rank(query.query, len(names))
                ranked["text"] = [key for key, _ in wordy]
                fused = fuse_evidence(looks[:_DEPTH], wordy[:_DEPTH], ranker.ideal(query.query))
                ranked["hybrid"] = [key for key, _ in fused]
            for mode, order in ranked.items():
                found = [names[i] for i in order]
                scores[mode].append((ndcg(found, query.relevant, 5), recall(found, query.relevant, 5)))
                log(_ranks(query, mode, found))
            if query.image is not None and query.query.strip():
                log(own.ask(query, open_image(folder, query.image)))
    return {mode: _means(values) for mode, values in scores.items()}, own.report()


def _ranks(query: EvalQuery, mode: str, found: Sequence[str]) -> dict[str, Any]:
    ranks = {name: found.index(name) + 1 if name in found else None for name in sorted(query.relevant)}
    return {
        "kind": "retrieval",
        "query": query.query,
        "image": query.image,
        "mode": mode,
        "ranks": ranks,
        "ranked": list(found[:10]),
    }


def _item(folder: Path, query: EvalQuery) -> QueryItem:
    if query.image is None:
        return query.query
    image = open_image(folder, query.image)
    return {"text": query.query, "image": image} if query.query.strip() else image


def _means(values: Sequence[tuple[float, float]]) -> Figures:
    if not values:
        return None
    return {
        "ndcg@5": mean([v[0] for v in values]),
        "recall@5": mean([v[1] for v in values]),
        "n": len(values),
    }
