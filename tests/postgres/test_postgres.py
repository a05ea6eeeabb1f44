"""The store on a real PostgreSQL server: the same answers as on SQLite, whatever is asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

import hydra_rag_migrations
from hydra_rag.errors import StoreBusyError, UsageError
from hydra_rag.store import Store, changes, meta
from hydra_rag.store.engine import make_engine
from hydra_rag.testing_fakes import FakeEmbedder
from hydra_rag_indexing import jobs
from hydra_rag_indexing.backup import backup
from hydra_rag_indexing.collection import Collection
from hydra_rag_indexing.lease import WriteLease
from hydra_rag_indexing.search import Filters
from tests.indexing import library
from tests.indexing.conftest import QUICK

WORDS = {
    "a.txt": "Invoice INV-204 total Müller ﬁnance straße",
    "b.txt": "invoices paid 東京都 渋谷区 total",
    "c.txt": "naïve café résumé O'Brien 100% a_b",
}
QUERIES = [
    "invoice", "INV-204", "inv 204 total", "MULLER", "müller", "finance", "strasse", "東京", "渋谷区", "京渋",
    "cafe", "O'Brien", "naive resume", "100%", "nothing here", "'", "';--", "a & b | !c", "(:*", "\\", "\x00",
    "\ud800", "", "   ", "AND OR NOT NEAR", '"quoted', "total " * 500, "🎉", "invoi",
    "remittance of a bill", "sums",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _known_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hydra_rag_indexing.files.load.load_pages", library.load_pages)


@pytest.fixture
def store(store_dir: Path, database: str) -> Iterator[Store]:
    with Store.open(store_dir, url=database) as opened:
        yield opened


def collection(store: Store, model: FakeEmbedder | None = None, tenant: str = "default") -> Collection:
    embedder = model or FakeEmbedder()
    return Collection(store, lambda: embedder, settings=QUICK, tenant=tenant)


def sources(folder: Path) -> list[Path]:
    return [
        library.write_source(folder / name, 2, seed, words)
        for seed, (name, words) in enumerate(WORDS.items())
    ]


def found(held: Collection, query: str, **options: object) -> set[tuple[str, int]]:
    return {(h.document, h.page) for h in held.search(query, k=20, mode="text", **options)}  # type: ignore[arg-type]


def test_finds_the_pages_that_sqlite_finds(store: Store, tmp_path: Path) -> None:
    here, files = collection(store), sources(tmp_path / "sources")
    with Store.open(tmp_path / "sqlite") as lite:
        there = collection(lite)
        for held in (here, there):
            assert [r.status for r in held.ingest(files)] == ["indexed"] * 3
        answered = 0
        for query in QUERIES:
            assert found(here, query) == found(there, query), query
            answered += bool(found(here, query))
        assert answered >= 14
        last = here.documents()[-1].document_id
        many = Filters(documents=[*map(str, range(70_000)), last], pages=(1, 10**30))
        for mode in ("visual", "text", "hybrid"):
            assert {h.document_id for h in here.search("total café", mode=mode, filters=many)} == {last}
        for unknown, page in ((last, 10**30), (last, 2**40), ("a\x00", 1), ("\ud800", 1)):
            with pytest.raises(UsageError, match="nothing like that"):
                here.page(unknown, page)
        for mode in ("visual", "hybrid"):
            ours, theirs = (h.search("invoice total", k=6, mode=mode) for h in (here, there))
            assert {(h.document, h.page) for h in ours} == {(h.document, h.page) for h in theirs}
        named = f"{files[0].stem} in {files[0].name}"
        for mode in ("text", "hybrid"):
            first = [h.search(named, k=6, mode=mode)[0] for h in (here, there)]
            assert {hit.document for hit in first} == {files[0].name}
            assert all(hit.sources["name"]["rank"] == 1 for hit in first)
        visual = [
            [(h.document, h.page, h.score) for h in c.search("x", mode="visual")] for c in (here, there)
        ]
        assert visual[0] == visual[1]


def test_documents_come_change_and_go(store: Store, tmp_path: Path) -> None:
    held, files = collection(store), sources(tmp_path / "sources")
    held.ingest(files)
    assert [r.status for r in held.ingest(files)] == ["unchanged"] * 3
    library.write_source(files[0], 3, 9, "walrus")
    assert held.ingest([files[0]])[0].status == "replaced"
    assert found(held, "walrus") == {("a.txt", 1), ("a.txt", 2), ("a.txt", 3)}
    assert found(held, "204") == set()
    gone = next(d.document_id for d in held.documents() if d.document == "b.txt")
    held.remove([gone])
    assert found(held, "東京") == set()
    assert len(held.search("x", k=50, mode="visual")) == 5
    assert held.compact(purge=True) > 0
    report = held.doctor()
    assert report.ok, report.problems
    assert report.recall_estimate == 1.0
    assert found(collection(store, tenant="other"), "walrus") == set()


def test_reindex_with_another_model(store: Store, tmp_path: Path) -> None:
    collection(store).ingest(sources(tmp_path / "sources"))
    other = FakeEmbedder(name="another")
    assert collection(store, other).reindex() == 6
    assert len(collection(store, other).search("x", k=50, mode="visual")) == 6


def test_a_lost_lease_can_not_commit(store: Store) -> None:
    lease = WriteLease.acquire(store)
    assert WriteLease.try_acquire(store) is None
    lease.release()
    with WriteLease.acquire(store) as newer, store.write() as db:
        newer.fence(db)
    with pytest.raises(StoreBusyError), store.write() as db:
        lease.fence(db)


def test_files_queued_by_another_are_ingested(store: Store, tmp_path: Path) -> None:
    held, files = collection(store), sources(tmp_path / "sources")
    ids = held.enqueue(files)
    assert held.drain() == 3
    assert {job.state for job in jobs.read(store, "default", ids)} == {"done"}


def test_the_schema_is_the_one_of_the_tables(database: str) -> None:
    engine = make_engine(database)
    try:
        hydra_rag_migrations.upgrade(engine)
        assert hydra_rag_migrations.current(engine) == hydra_rag_migrations.head()
        assert "page_text" in inspect(engine).get_table_names()
        with engine.connect() as connection:
            index = text("SELECT indexdef FROM pg_indexes WHERE tablename = 'page_text'")
            assert any("gin" in row for row in connection.scalars(index))
    finally:
        engine.dispose()


def test_backup_says_what_to_do_instead(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="pg_dump"):
        backup(store, tmp_path / "saved")


def test_two_processes_see_each_other(store: Store, database: str, tmp_path: Path) -> None:
    with Store.open(store.directory, url=database) as second:
        other = collection(second)
        assert other.search("x", k=50, mode="visual") == []
        collection(store).ingest(sources(tmp_path / "sources"))
        assert len(other.search("x", k=50, mode="visual")) == 6


def test_writers_wait_for_each_other(store: Store, tmp_path: Path) -> None:
    """An ingest goes on whatever is removed beside it; no change of either is lost."""
    held = collection(store)
    [gone, *_] = held.ingest(sources(tmp_path / "sources"))
    assert gone.document_id is not None
    began = threading.Event()

    def slow() -> None:
        with store.write() as db:
            changes.remove_documents(db, store, "default", [str(gone.document_id)])
            meta.bump(db)
            began.set()
            time.sleep(0.5)

    before = store.generation()
    with ThreadPoolExecutor() as pool:
        removing = pool.submit(slow)
        assert began.wait(20)
        more = library.write_source(tmp_path / "more.txt", 1, 9, "beside")
        assert [r.status for r in collection(store).ingest([more])] == ["indexed"]
        removing.result()
    assert store.generation() == before + 2
    assert {d.document for d in held.documents()} == {"b.txt", "c.txt", "more.txt"}


def test_a_writer_that_waits_too_long_is_told_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hydra_rag.store.engine.BUSY_TIMEOUT_S", 1.0)
    with store.write() as db:
        meta.bump(db)
        with pytest.raises(StoreBusyError, match="busy"), store.write() as other:
            meta.bump(other)


def test_an_empty_database_is_made_by_one_of_many(store_dir: Path, database: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        for opened in [pool.submit(Store.open, store_dir, url=database) for _ in range(4)]:
            with opened.result() as store:
                assert store.generation() == 0
