"""Questions that name their document, in a store: its pages come first and no other is lost."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from hydra_rag.store import meta
from hydra_rag.store.models import DocumentRow, PageWordsRow
from hydra_rag.store.store import Store
from hydra_rag.values import MultiVector
from hydra_rag_indexing import preference
from hydra_rag_indexing.hits import Filters, Hit, Mode
from hydra_rag_indexing.names import Names
from hydra_rag_indexing.search import Searcher
from hydra_rag_indexing.segments import write_segment
from hydra_rag_indexing.snapshot import PageRef, VectorIndex
from hydra_rag_indexing.text import index_page_text

from .conftest import add_document

DIM = 32
FILES = ("letter.pdf", "annual-report.pdf", "manual.pdf", "notes2023.txt")
PAGES = 30


class World:
    """Documents of thirty pages each that all say the same words; only the names and one heading differ."""

    def __init__(self, store: Store) -> None:
        self.store = store
        rng = np.random.default_rng(3)
        self.keys: dict[str, list[int]] = {}
        with store.write() as db:
            for name in FILES:
                self.keys[name] = add_document(db, name, PAGES)
                for number, key in enumerate(self.keys[name]):
                    value = "who signed the lease " * (2 if name == "manual.pdf" else 1) + f"page {number}"
                    index_page_text(db, key, "default", value)
            add_document(db, "letter-of-another.pdf", 2, tenant="else")
            add_document(db, "letter-unfinished.pdf", 2, state="working")
        every = [key for keys in self.keys.values() for key in keys]
        pages = [rng.normal(size=(4, DIM)).astype(np.float16) for _ in every]
        info = write_segment(store.segments_dir, store.tmp_dir, pages, boxes=None)
        refs = [PageRef(key, info.id, 4 * at, 4) for at, key in enumerate(every)]
        self.index = VectorIndex.build(store.segments_dir, refs, DIM)
        self.query = MultiVector(rng.normal(size=(3, DIM)).astype(np.float32))
        self.names = Names("default", "default")
        self.searcher = Searcher(store, "default", "default", lambda: self.index, self.names)

    def find(
        self, text: str, mode: Mode = "hybrid", k: int = 10, filters: Filters | None = None
    ) -> list[Hit]:
        vectors = None if mode == "text" else self.query
        return self.searcher.search(text=text, vectors=vectors, mode=mode, k=k, filters=filters, regions=0)

    def title(self, name: str, words: str) -> None:
        """Written tall on the first page."""
        with self.store.write() as db:
            index_page_text(db, self.keys[name][0], "default", f"{words} who signed the lease")
            tall = [[word, 100 * at, 10, 100 * at + 90, 60] for at, word in enumerate(words.split())]
            low = [
                [word, 40 * at, 300, 40 * at + 30, 312]
                for at, word in enumerate("who signed the lease".split())
            ]
            db.add(PageWordsRow(page_key=self.keys[name][0], tenant="default", words=tall + low))
            meta.bump(db)


@pytest.fixture
def world(store: Store) -> Iterator[World]:
    return World(store)  # type: ignore[return-value]


def _documents(hits: list[Hit]) -> list[str]:
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert len({hit.page_key for hit in hits}) == len(hits)
    assert all(a.score >= b.score for a, b in pairwise(hits))
    return [hit.document for hit in hits]


@pytest.mark.parametrize("mode", ["hybrid", "text"])
@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("Who signed the letter?", "letter.pdf"),
        ("Who signed, in notes2023.txt?", "notes2023.txt"),
        ("Who signed the annual report?", "annual-report.pdf"),
    ],
)
def test_pages_of_the_named_document_come_first(
    world: World, mode: Mode, question: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hits = world.find(question, mode, k=PAGES * len(FILES))
    assert _documents(hits)[:3] == [name] * 3
    assert hits[0].sources["name"]["rank"] == 1
    assert hits[0].score <= 1 or mode == "text"
    assert set(_documents(hits)) == set(FILES), "others are still found"
    assert {hit.page_key for hit in hits} == {key for keys in world.keys.values() for key in keys}
    for factor in ("_NAMED", "_NAMED_WORDS"):  # the test sees it when naming counts nothing
        monkeypatch.setattr(preference, factor, 0.0)
    assert _documents(world.find(question, mode)).count(name) < _documents(hits)[:10].count(name)


@pytest.mark.parametrize("mode", ["hybrid", "text", "visual"])
def test_questions_that_name_nothing_find_what_they_found(
    world: World, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    unnamed = ["Who signed the lease?", "page 7", "Who signed, not in the letter?"]
    found = [world.find(question, mode) for question in unnamed]
    by_looks = world.find("Who signed the letter?", "visual")
    monkeypatch.setattr(Names, "named", lambda *_, **__: [])
    assert found == [world.find(question, mode) for question in unnamed]
    assert by_looks == world.find("Who signed the letter?", "visual"), "by looks alone, names count nothing"
    assert all("name" not in hit.sources for hits in found for hit in hits)


def test_a_document_that_neither_looks_nor_words_reach_is_found_by_its_name(world: World) -> None:
    assert _documents(world.find("annual-report.pdf", "text")) == ["annual-report.pdf"]
    only = world.find("zzz annual-report.pdf", "hybrid", k=5)
    assert _documents(only)[0] == "annual-report.pdf"


def test_filters_hold_for_named_documents_too(world: World) -> None:
    question = "Who signed the letter?"
    hits = world.find(question, k=200, filters=Filters(documents=["manual.pdf", "annual-report.pdf"]))
    assert set(_documents(hits)) == {"manual.pdf", "annual-report.pdf"}
    assert all("name" not in hit.sources for hit in hits)
    assert {hit.page for hit in world.find(question, "text", k=200, filters=Filters(pages=(2, 3)))} == {2, 3}
    assert {hit.page for hit in world.find("letter.pdf", "text", filters=Filters(pages=(2, 3)))} <= {2, 3}
    with world.store.session() as db:
        found = [document.document_id for document in world.names.named(db, question)]
    assert found == ["letter.pdf"], "neither another tenant's nor an unfinished one"


def test_names_change_with_the_store(world: World) -> None:
    assert _documents(world.find("Who signed the letter?"))[0] == "letter.pdf"
    with world.store.write() as db:
        db.delete(db.get(DocumentRow, "letter.pdf"))
        meta.bump(db)
    hits = world.find("Who signed the letter?", k=200)
    assert "letter.pdf" not in _documents(hits)
    assert all("name" not in hit.sources for hit in hits)


def test_a_heading_names_the_other_pages_too(world: World) -> None:
    assert all("name" not in hit.sources for hit in world.find("Who signed the contract?"))
    world.title("notes2023.txt", "Contract of Employment")
    assert _documents(world.find("Who signed the contract?", "text"))[:3] == ["notes2023.txt"] * 3
    hits = world.find("Who signed the contract?")
    assert hits[0].document == "notes2023.txt"
    assert {hit.page for hit in hits if hit.document == "notes2023.txt"} > {1}
    assert _documents(world.find("Who signed the agreement?"))[0] == "notes2023.txt"
