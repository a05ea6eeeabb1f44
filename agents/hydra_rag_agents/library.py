"""An indexed collection as the agent's library."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from hydra_rag.errors import NotFoundError
from hydra_rag.geometry import Box
from hydra_rag.values import MultiVector, QueryItem, Word
from hydra_rag_agents.state import Candidate, PageId

if TYPE_CHECKING:
    from PIL import Image

    from hydra_rag_indexing.collection import Collection
    from hydra_rag_indexing.search import Hit

__all__ = ["CollectionLibrary", "hit_json"]


class CollectionLibrary:
    """Made for one turn: pages that it has read are kept until it is dropped."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        # Functions of the collection, not methods: a library that held itself would keep its pictures until
        # the collector of cycles comes by, long after its turn.
        self.image = lru_cache(16)(partial(_image, collection))
        self.words = lru_cache(64)(partial(_words, collection))
        self._sources = lru_cache(64)(partial(_source, collection))
        self.crop = lru_cache(16)(partial(_crop, collection))

    def find(
        self, query: QueryItem, k: int, *, mode: str, documents: Sequence[str] | None
    ) -> list[Candidate]:
        hits = self._collection.search(query, k, mode=mode, documents=documents)  # type: ignore[arg-type]
        return [
            Candidate(
                PageId(hit.document_id, hit.page),
                hit.document,
                float(hit.score),
                hit.rank,
                hit.sources,
                tuple((region.box, region.score) for region in hit.regions),
            )
            for hit in hits
        ]

    def candidate(self, page: PageId) -> Candidate | None:
        try:
            document = self._collection.document(page.document_id)
            self.image(page)
        except NotFoundError:
            return None
        return Candidate(page, document.document, 0.0, 1, {"session": {"rank": 1}})

    def read_by_model(self, page: PageId, box: Box | None = None) -> bool:
        return self._sources(page) == "model"

    def vectors(self, page: PageId) -> MultiVector | None:
        try:
            return self._collection.page_vectors(*page)
        except NotFoundError:
            return None

    def likeness(self, query: MultiVector, page: PageId) -> float:
        from hydra_rag.maxsim import maxsim

        stored = self.vectors(page)
        return float("-inf") if stored is None else float(maxsim(query.vectors, stored.vectors))

    def regions(self, query: MultiVector, page: PageId, top: int = 3) -> list[tuple[Box, float]]:
        from hydra_rag.evidence import evidence_regions

        stored = self.vectors(page)
        if stored is None or stored.boxes is None:
            return []
        return evidence_regions(query, stored, top=top)


def _image(collection: Collection, page: PageId) -> Image.Image:
    return collection.page_image(*page)


def _crop(collection: Collection, page: PageId, box: Box, scale: float = 2.0) -> Image.Image:
    return collection.render_crop(*page, box, scale)


def _words(collection: Collection, page: PageId) -> tuple[Word, ...]:
    return tuple(collection.page_words(*page))


def _source(collection: Collection, page: PageId) -> str | None:
    return collection.page(*page).text_source


def hit_json(hit: Hit) -> dict[str, Any]:
    """The wire form of a hit."""
    return {
        "rank": hit.rank,
        "document_id": hit.document_id,
        "document": hit.document,
        "page": hit.page,
        "score": float(hit.score),
        "sources": {
            name: {"rank": int(source["rank"]), "score": float(source["score"])}
            for name, source in hit.sources.items()
        },
        "regions": [{"box": list(r.box), "score": round(float(r.score), 6)} for r in hit.regions],
    }
