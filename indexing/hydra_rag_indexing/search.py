"""Search in a store: vectors and text, filters, fusion, and SQL's last word on every hit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from hydra_rag.errors import UsageError
from hydra_rag.geometry import Box
from hydra_rag.nearby import DEPTH, reranked
from hydra_rag.store.documents import parts, visible_pages
from hydra_rag.store.models import DocumentRow, PageRow
from hydra_rag.store.records import DocumentInfo, PageInfo
from hydra_rag.store.store import Store
from hydra_rag.values import MultiVector, QueryItem
from hydra_rag_indexing.fusion import fuse_evidence
from hydra_rag_indexing.snapshot import VectorIndex
from hydra_rag_indexing.text import ideal_score, search_text

__all__ = ["Filters", "Hit", "Mode", "Region", "Searcher", "text_of"]

Mode = Literal["visual", "text", "hybrid"]

_MIN_DEPTH = 50  # pages that each ranking brings to the fusion
_MOST = 1 << 30  # hits, and page numbers: beyond that there is nothing, and databases count no further


@dataclass(frozen=True, slots=True)
class Region:
    """A place on the page that supports the query: page pixels, score 0 to 1."""

    box: Box
    score: float


@dataclass(frozen=True, slots=True)
class Hit:
    """``page`` is 1-based, ``document`` the file's name. ``score``: MaxSim (visual; with what
    matches in one place, where the model's adapter asks for it, :mod:`hydra_rag.nearby`), BM25 (text) or the
    fused score, 0 to 1 (hybrid). ``sources``: ``{"visual" | "text": {"rank", "score"}}``, ranks from 1."""

    rank: int
    document_id: str
    document: str
    page: int
    page_key: int
    score: float
    sources: dict[str, dict[str, float]] = field(default_factory=dict)
    regions: list[Region] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Filters:
    """Which pages may be found. ``pages``: first and last page number, 1-based, both included."""

    documents: Sequence[str] | None = None
    pages: tuple[int, int] | None = None
    media_types: Sequence[str] | None = None

    def __post_init__(self) -> None:
        if self.pages is not None:
            first, last = (min(max(number, 0), _MOST) for number in self.pages)
            object.__setattr__(self, "pages", (first, last))

    @property
    def empty(self) -> bool:
        return self.documents is None and self.pages is None and self.media_types is None


class Searcher:
    """Search of one collection of one tenant.

    ``snapshot`` gives the current :class:`VectorIndex` of the collection, or ``None`` when there are no
    vectors. The snapshot may lag behind SQL; what SQL does not confirm is not returned.
    """

    def __init__(
        self, store: Store, tenant: str, collection: str, snapshot: Callable[[], VectorIndex | None]
    ) -> None:
        self._store, self._tenant, self._collection, self._snapshot = store, tenant, collection, snapshot

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
        k = min(k, _MOST)
        again = vectors is not None and vectors.nearby > 0
        depth = max(_MIN_DEPTH, 2 * k) if mode == "hybrid" else max(k, DEPTH) if again else k
        rankings: dict[str, list[tuple[int, float]]] = {}
        ideal: float | None = None
        known: dict[int, tuple[DocumentInfo, PageInfo]] = {}
        with self._store.session() as db:
            index = self._snapshot() if mode != "text" and vectors is not None else None
            if index is not None and vectors is not None:
                found = self._visual(db, index, vectors, depth, filters, known)
                rankings["visual"] = reranked(vectors, found, lambda key: MultiVector(*index.vectors(key)))
            if mode != "visual" and text is not None:
                rankings["text"] = self._text(db, text, depth, filters, known)
                ideal = ideal_score(db, text) if mode == "hybrid" else None
        hits = _ranked(rankings, mode, known, ideal)[:k]
        if index is None or vectors is None or regions < 1:
            return hits
        return [self._with_regions(hit, index, vectors, regions) for hit in hits]

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


def text_of(query: QueryItem) -> str | None:
    """The words of a query, ``None`` for one that is an image alone."""
    if isinstance(query, str):
        return query
    if isinstance(query, Mapping):
        text = query.get("text")
        return text if isinstance(text, str) and text.strip() else None
    return None


def _ranked(
    rankings: dict[str, list[tuple[int, float]]],
    mode: Mode,
    known: dict[int, tuple[DocumentInfo, PageInfo]],
    ideal: float | None,
) -> list[Hit]:
    sources: dict[int, dict[str, dict[str, float]]] = {}
    for name, ranking in rankings.items():
        for rank, (key, score) in enumerate(ranking, start=1):
            sources.setdefault(key, {})[name] = {"rank": rank, "score": score}
    if mode == "hybrid":
        order = fuse_evidence(rankings.get("visual", []), rankings.get("text", []), ideal)
    else:
        order = rankings.get(mode, [])
    hits = []
    for rank, (key, score) in enumerate(order, start=1):
        document, page = known[key]
        hits.append(
            Hit(rank, document.document_id, document.document, page.page, key, score, sources.get(key, {}))
        )
    return hits
