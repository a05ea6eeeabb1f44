"""Search in a store: vectors and text, filters, fusion, and SQL's last word on every hit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from hydra_rag.errors import UsageError
from hydra_rag.nearby import DEPTH, reranked
from hydra_rag.store.documents import parts, visible_pages
from hydra_rag.store.models import DocumentRow, PageRow
from hydra_rag.store.records import DocumentInfo, PageInfo
from hydra_rag.store.store import Store
from hydra_rag.values import MultiVector
from hydra_rag_indexing.fusion import fuse_evidence
from hydra_rag_indexing.hits import MOST_HITS, Filters, Hit, Mode, Region, text_of
from hydra_rag_indexing.names import NamedDocument, Names
from hydra_rag_indexing.preference import named_ranking, preferred
from hydra_rag_indexing.snapshot import VectorIndex
from hydra_rag_indexing.text import ideal_score, search_text

__all__ = ["Filters", "Hit", "Mode", "Region", "Searcher", "text_of"]

_MIN_DEPTH = 50  # pages that each ranking brings to the fusion
_MOST_NAMED = 200  # documents that a question may name
_SURE = 0.5  # named so surely, a document is found though none of its pages has a word of the question


@dataclass(frozen=True, slots=True)
class _Asked:
    """One search: ``rankings`` (page key, score) by their name, ``known``: the pages that they found."""

    db: Session
    mode: Mode
    text: str | None
    vectors: MultiVector | None
    index: VectorIndex | None
    rankings: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    known: dict[int, tuple[DocumentInfo, PageInfo]] = field(default_factory=dict)


class Searcher:
    """Search of one collection of one tenant.

    ``snapshot`` gives the current :class:`VectorIndex` of the collection, or ``None`` when there are no
    vectors. The snapshot may lag behind SQL; what SQL does not confirm is not returned.
    """

    def __init__(
        self,
        store: Store,
        tenant: str,
        collection: str,
        snapshot: Callable[[], VectorIndex | None],
        names: Names | None = None,
    ) -> None:
        self._store, self._tenant, self._collection, self._snapshot = store, tenant, collection, snapshot
        self._names = names or Names(tenant, collection)

    def search(
        self,
        *,
        text: str | None = None,
        vectors: MultiVector | None = None,
        k: int = 10,
        mode: Mode = "hybrid",
        filters: Filters | None = None,
        regions: int = 3,
    ) -> list[Hit]:
        """The ``k`` best pages. ``text`` serves the text ranking, ``vectors`` (of the query) the visual one.

        ``regions``: at most this many boxes per hit, from the similarity map (0: none).
        Raises ``UsageError`` when the mode needs what was not given.
        """
        if mode not in get_args(Mode):
            raise UsageError(f"Unknown search mode {mode!r}: use visual, text or hybrid.")
        if mode == "visual" and vectors is None:
            raise UsageError("Visual search needs a query that the model can embed.")
        if text is None and (vectors is None or mode == "text"):
            raise UsageError("Text search needs words to look for.")
        filters = filters or Filters()
        if k < 1:
            return []
        k = min(k, MOST_HITS)
        with self._store.session() as db:
            index = self._snapshot() if mode != "text" and vectors is not None else None
            asked = _Asked(db, mode, text, vectors, index)
            order = self._order(asked, k, filters)
            if mode != "visual" and text is not None:
                named = self._names.named(db, text, filters.documents)[:_MOST_NAMED]
                order = self._preferred(asked, k, filters, order, named) if named else order
        hits = _hits(order[:k], asked)
        if index is None or vectors is None or regions < 1:
            return hits
        return [self._with_regions(hit, index, vectors, regions) for hit in hits]

    def _order(self, asked: _Asked, k: int, filters: Filters) -> list[tuple[int, float]]:
        """The best pages by the query itself; notes its rankings and what is known of the pages."""
        db, vectors, text, hybrid = asked.db, asked.vectors, asked.text, asked.mode == "hybrid"
        again = vectors is not None and vectors.nearby > 0
        depth = max(_MIN_DEPTH, 2 * k) if hybrid else max(k, DEPTH) if again else k
        ideal: float | None = None
        asked.rankings.clear()
        if (index := asked.index) is not None and vectors is not None:
            found = self._visual(db, index, vectors, depth, filters, asked.known)
            asked.rankings["visual"] = reranked(vectors, found, lambda key: MultiVector(*index.vectors(key)))
        if asked.mode != "visual" and text is not None:
            asked.rankings["text"] = self._text(db, text, depth, filters, asked.known)
            ideal = ideal_score(db, text) if hybrid else None
        if hybrid:
            return fuse_evidence(asked.rankings.get("visual", []), asked.rankings.get("text", []), ideal)
        return asked.rankings.get(asked.mode, [])

    def _preferred(
        self,
        asked: _Asked,
        k: int,
        filters: Filters,
        order: Sequence[tuple[int, float]],
        named: Sequence[NamedDocument],
    ) -> list[tuple[int, float]]:
        """``order`` with the pages of ``named`` documents further up, also those that it does not reach."""
        weights = {document.document_id: document.weight for document in named}
        within = replace(asked, rankings={})
        first: list[int] = []
        if sum(document.document_id in weights for document, _ in asked.known.values()) < sum(
            document.pages for document in named
        ):
            chosen = replace(filters, documents=list(weights))
            first = [key for key, _ in self._order(within, k, chosen)]
            first += self._first_pages(asked, chosen, [i for i, weight in weights.items() if weight >= _SURE])
        pages = {
            key: weights[document.document_id]
            for key, (document, _) in asked.known.items()
            if document.document_id in weights
        }
        asked.rankings["name"] = named_ranking(pages, order, first)
        return preferred(order, asked.rankings["name"], bounded=asked.mode == "hybrid")

    def _first_pages(self, asked: _Asked, filters: Filters, documents: Sequence[str]) -> list[int]:
        """Of documents of which no other page was found: they are asked for, whatever they say."""
        reached = {document.document_id for document, _ in asked.known.values()}
        rest = [document for document in documents if document not in reached]
        if not rest or (filters.pages is not None and not filters.pages[0] <= 1 <= filters.pages[1]):
            return []
        only = replace(filters, documents=rest, pages=(1, 1))
        keys = [int(key) for key in self._allowed(asked.db, only)]
        asked.known.update(self._confirmed(asked.db, keys, only))
        return [key for key in keys if key in asked.known]

    def _visual(
        self,
        db: Session,
        index: VectorIndex,
        vectors: MultiVector,
        depth: int,
        filters: Filters,
        known: dict[int, tuple[DocumentInfo, PageInfo]],
    ) -> list[tuple[int, float]]:
        allowed = None if filters.empty else self._allowed(db, filters)
        wanted = depth
        while True:
            found = index.search(vectors.vectors, wanted, allowed=allowed)
            known.update(self._confirmed(db, [key for key, _ in found], filters))
            confirmed = [(key, score) for key, score in found if key in known]
            # Pages removed since the snapshot took places of others: ask for more.
            if len(confirmed) >= depth or len(found) < wanted:
                return confirmed[:depth]
            wanted *= 2

    def _text(
        self,
        db: Session,
        text: str,
        depth: int,
        filters: Filters,
        known: dict[int, tuple[DocumentInfo, PageInfo]],
    ) -> list[tuple[int, float]]:
        found = search_text(
            db,
            self._tenant,
            text,
            depth,
            collection=self._collection,
            allowed_documents=filters.documents,
            page_range=filters.pages,
            media_types=filters.media_types,
        )
        known.update(self._confirmed(db, [key for key, _ in found], filters))
        return [(key, score) for key, score in found if key in known]

    def _confirmed(
        self, db: Session, keys: Sequence[int], filters: Filters
    ) -> dict[int, tuple[DocumentInfo, PageInfo]]:
        return visible_pages(db, self._tenant, self._collection, keys, filters.documents)

    def _allowed(self, db: Session, filters: Filters) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        query = (
            select(PageRow.page_key)
            .join(DocumentRow, DocumentRow.id == PageRow.document_id)
            .where(
                PageRow.tenant == self._tenant,
                PageRow.collection == self._collection,
                DocumentRow.tenant == self._tenant,
                DocumentRow.state == "ready",
            )
        )
        if filters.pages is not None:
            query = query.where(PageRow.page_number.between(*filters.pages))
        if filters.media_types is not None:
            query = query.where(DocumentRow.media_type.in_(list(filters.media_types)))
        if filters.documents is None:
            return np.fromiter(db.scalars(query), np.int64)
        keys: list[int] = []
        for some in parts(list(filters.documents), 10_000):
            keys += db.scalars(query.where(DocumentRow.id.in_(some)))
        return np.array(keys, np.int64)

    def _with_regions(self, hit: Hit, index: VectorIndex, query: MultiVector, top: int) -> Hit:
        from hydra_rag.maxsim import evidence_regions

        if "visual" not in hit.sources and not index.has(hit.page_key):
            return hit
        vectors, boxes = index.vectors(hit.page_key)
        if boxes is None:
            return hit
        found = evidence_regions(query, MultiVector(vectors, boxes), top=top)
        return Hit(
            hit.rank,
            hit.document_id,
            hit.document,
            hit.page,
            hit.page_key,
            hit.score,
            hit.sources,
            [Region(box, score) for box, score in found],
        )


def _hits(order: Sequence[tuple[int, float]], asked: _Asked) -> list[Hit]:
    sources: dict[int, dict[str, dict[str, float]]] = {}
    for name, ranking in asked.rankings.items():
        for rank, (key, score) in enumerate(ranking, start=1):
            sources.setdefault(key, {})[name] = {"rank": rank, "score": score}
    hits = []
    for rank, (key, score) in enumerate(order, start=1):
        document, page = asked.known[key]
        hits.append(
            Hit(rank, document.document_id, document.document, page.page, key, score, sources.get(key, {}))
        )
    return hits
