"""Headings of first pages: what a document calls itself, whatever its file is called."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from statistics import median

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from hydra_rag.geometry import Box
from hydra_rag.lines import group_lines
from hydra_rag.store.documents import parts
from hydra_rag.store.models import PageRow, PageWordsRow
from hydra_rag.values import Word

__all__ = ["first_pages", "heading", "headings"]

#: Documents with one word on their first pages: of more it tells little, at a cost.
_MOST = 64
#: A heading is so much taller than the other words of its page, and stands in the upper part of it.
_TALLER, _UPPER, _LINES, _WORDS = 1.15, 0.6, 3, 16


def first_pages(db: Session, tenant: str, collection: str, stems: Collection[str]) -> set[str]:
    """Documents whose first pages have words with one of these beginnings, where those are few."""
    sqlite = db.get_bind().dialect.name == "sqlite"
    found: set[str] = set()
    key, match = (
        ("rowid", "page_text MATCH :term") if sqlite else ("page_key", "t.tsv @@ CAST(:term AS tsquery)")
    )
    statement = text(
        f"SELECT p.document_id FROM page_text t JOIN pages p ON p.page_key = t.{key}"
        f" JOIN documents d ON d.id = p.document_id WHERE {match} AND p.page_number = 1"
        " AND p.tenant = :tenant AND p.collection = :collection AND d.tenant = :tenant"
        " AND d.state = 'ready' LIMIT :most"
    )
    for stem in stems:
        term = f'"{stem}" *' if sqlite else f"'{stem}':*"
        given = {"term": term, "tenant": tenant, "collection": collection, "most": _MOST + 1}
        documents = db.scalars(statement, given).all()
        if len(documents) <= _MOST:
            found.update(documents)
    return found


def headings(db: Session, tenant: str, documents: Sequence[str]) -> dict[str, str]:
    """The heading of every document; empty where its first page has no words."""
    query = (
        select(PageRow.document_id, PageWordsRow.words)
        .join(PageWordsRow, PageWordsRow.page_key == PageRow.page_key)
        .where(PageRow.tenant == tenant, PageWordsRow.tenant == tenant, PageRow.page_number == 1)
    )
    found = dict.fromkeys(documents, "")
    for some in parts(documents):
        for document, words in db.execute(query.where(PageRow.document_id.in_(some))):
            found[document] = heading([Word(entry[0], Box(*entry[1:])) for entry in words])
    return found


def heading(words: Sequence[Word]) -> str:
    """The tall lines in the upper part of a page; its first line where none is taller."""
    lines = group_lines(words)
    if not lines:
        return ""
    top, bottom = min(line.box.top for line in lines), max(line.box.bottom for line in lines)
    usual = median(word.box.height for word in words)
    upper = [line for line in lines if line.box.top - top <= _UPPER * (bottom - top)]
    heights = {id(line): median(word.box.height for word in line.words) for line in upper}
    tall = [line for line in upper if heights[id(line)] >= _TALLER * usual] or lines[:1]
    tallest = sorted(tall, key=lambda line: -heights.get(id(line), 0.0))[:_LINES]
    said = [word.text for line in lines if line in tallest for word in line.words]
    return " ".join(said[:_WORDS])
