"""Which documents of a collection a question names; what they are called is read from SQL and kept."""

from __future__ import annotations

import posixpath
import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from hydra_rag.store.models import DocumentRow, MetaRow
from hydra_rag_indexing.name_words import asked_titles, name_words
from hydra_rag_indexing.naming import Naming, Titled
from hydra_rag_indexing.titles import first_pages, headings

__all__ = ["NamedDocument", "Names"]

_TITLES_KEPT = 4096
_MOST_STEMS = 6  # words of a question that are looked for in titles
_SHORT = 3  # letters


@dataclass(frozen=True, slots=True)
class NamedDocument:
    """``weight``: how surely the question means it, above 0 to 1. ``pages``: how many it has."""

    document_id: str
    weight: float
    pages: int


class Names:
    """Of one collection of one tenant; safe to share between threads."""

    def __init__(self, tenant: str, collection: str) -> None:
        self._tenant, self._collection = tenant, collection
        self._lock = threading.Lock()
        self._generation = -1
        self._rows: dict[str, tuple[str, str, int]] = {}
        self._known: dict[str, Titled] = {}
        self._naming = Naming({})
        self._titles: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    def named(
        self, db: Session, question: str, documents: Collection[str] | None = None
    ) -> list[NamedDocument]:
        """What the question names, surest first. ``documents``: among these alone."""
        with self._lock:
            self._refresh(db)
            known, naming, rows = self._known, self._naming, self._rows
        if documents is not None:
            known = {key: known[key] for key in documents if key in known}
            naming = Naming(known)
        if len(known) < 2:
            return []
        weights = naming.named(question, self._titled(db, question, known))
        found = [NamedDocument(key, weight, rows[key][2]) for key, weight in weights.items()]
        return sorted(found, key=lambda document: (-document.weight, document.document_id))

    def _refresh(self, db: Session) -> None:
        generation = db.scalars(select(MetaRow.generation).where(MetaRow.id == 1)).one()
        if generation == self._generation:
            return
        query = select(DocumentRow.id, DocumentRow.name, DocumentRow.path, DocumentRow.page_count).where(
            DocumentRow.tenant == self._tenant,
            DocumentRow.collection == self._collection,
            DocumentRow.state == "ready",
        )
        rows = {key: (name, path, pages) for key, name, path, pages in db.execute(query)}
        if rows != self._rows:
            # Folders that all documents share need no leaving out: they tell none from the others.
            self._known = {
                key: self._known[key]
                if self._rows.get(key) == row
                else Titled.of(row[0], posixpath.dirname(row[1]))
                for key, row in rows.items()
            }
            self._naming, self._rows = Naming(self._known), rows
        self._titles.clear()
        self._generation = generation

    def _titled(self, db: Session, question: str, known: Mapping[str, Titled]) -> dict[str, Titled]:
        stems = [stem for stem in asked_titles(question) if len(stem) >= _SHORT][:_MOST_STEMS]
        found = [key for key in first_pages(db, self._tenant, self._collection, stems) if key in known]
        with self._lock:
            titles = {key: self._titles[key] for key in found if key in self._titles}
        missing = [key for key in found if key not in titles]
        if missing:
            read = {key: name_words(title) for key, title in headings(db, self._tenant, missing).items()}
            titles |= read
            with self._lock:
                self._titles |= read
                while len(self._titles) > _TITLES_KEPT:
                    self._titles.popitem(last=False)
        return {key: replace(known[key], title=title) for key, title in titles.items()}
