"""The store's own text search over a handful of texts, in memory; for evaluation."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

__all__ = ["TextRanker"]

_SCHEMA = (
    "CREATE TABLE documents (id TEXT PRIMARY KEY, tenant TEXT, state TEXT)",
    "CREATE TABLE pages (page_key INTEGER PRIMARY KEY, document_id TEXT, tenant TEXT)",
    "CREATE VIRTUAL TABLE page_text USING fts5"
    "(tenant UNINDEXED, text, tokenize='unicode61 remove_diacritics 2')",
    "INSERT INTO documents VALUES ('d', 't', 'ready')",
)


class TextRanker:
    """Ranks texts by their position in ``texts``. Uses the same SQL as searching in a store."""

    def __init__(self, texts: Sequence[str]) -> None:
        from hydra_rag_indexing.text import index_page_text

        self._engine = create_engine("sqlite://", poolclass=StaticPool)
        with Session(self._engine) as db:
            for statement in _SCHEMA:
                db.execute(text(statement))
            for key, value in enumerate(texts):
                db.execute(text("INSERT INTO pages VALUES (:key, 'd', 't')"), {"key": key})
                index_page_text(db, key, "t", value)
            db.commit()

    def rank(self, query: str, k: int) -> list[tuple[int, float]]:
        """Positions of the texts that hold a word of the query, best first, with their scores."""
        from hydra_rag_indexing.text import search_text

        with Session(self._engine) as db:
            return search_text(db, "t", query, k)

    def ideal(self, query: str) -> float | None:
        """See :func:`hydra_rag_indexing.text.ideal_score`."""
        from hydra_rag_indexing.text import ideal_score

        with Session(self._engine) as db:
            return ideal_score(db, query)

    def __enter__(self) -> TextRanker:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.dispose()
