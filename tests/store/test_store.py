"""Engine settings, transactions, files that survive, identifiers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from hydra_rag.errors import CorruptionError, StoreBusyError, StoreError, UsageError
from hydra_rag.store import Store, durable, meta
from hydra_rag.store import engine as engines
from hydra_rag.store.chat_models import SessionRow
from hydra_rag.store.ids import new_id, tenant_folder


@pytest.fixture
def store(store_dir: Path) -> Iterator[Store]:
    with Store.open(store_dir) as opened:
        yield opened


def pragma(store: Store, name: str) -> object:
    with store.session() as db:
        return db.execute(text(f"PRAGMA {name}")).scalar()


def test_sqlite_is_set_up_to_be_durable(store: Store) -> None:
    assert pragma(store, "journal_mode") == "wal"
    assert pragma(store, "synchronous") == 2
    assert pragma(store, "foreign_keys") == 1


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 40, 1), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 44, 6), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 53, 4), True),
        ((4, 0, 0), True),
    ],
)
def test_versions_with_the_wal_race_are_known(version: tuple[int, int, int], safe: bool) -> None:
    assert engines.wal_is_safe(version) is safe


def test_an_affected_sqlite_gets_the_rollback_journal_and_a_warning(
    store_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engines, "wal_is_safe", lambda version: False)
    with Store.open(store_dir) as store:
        assert pragma(store, "journal_mode") == "delete"
        assert pragma(store, "synchronous") == 2
    assert "can corrupt a write-ahead log" in caplog.text


def test_a_writer_is_alone_from_the_beginning(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two transactions that read and then write never undo each other's change."""

    def count_up() -> None:
        for _ in range(20):
            with store.write() as db:
                value = db.execute(text("SELECT generation FROM store_meta")).scalar_one()
                db.execute(text("UPDATE store_meta SET generation = :value"), {"value": value + 1})

    threads = [threading.Thread(target=count_up) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.generation() == 60


def test_a_failing_transaction_leaves_nothing(store: Store) -> None:
    def fail() -> None:
        with store.write() as db:
            meta.bump(db)
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        fail()
    assert store.generation() == 0


def test_a_reader_sees_one_moment(store: Store) -> None:
    with store.session() as db:
        before = db.execute(text("SELECT generation FROM store_meta")).scalar_one()
        with store.write() as other:
            meta.bump(other)
        assert db.execute(text("SELECT generation FROM store_meta")).scalar_one() == before
    assert store.generation() == before + 1


def test_an_older_epoch_cannot_commit(store: Store) -> None:
    with store.write() as db:
        old = meta.take_epoch(db, 1, "here")
        new = meta.take_epoch(db, 2, "there")
    assert new > old

    def stale() -> None:
        with store.write() as db:
            db.add(SessionRow(id="x", tenant="t", collection="c"))
            meta.fence(db, old)

    with pytest.raises(StoreBusyError):
        stale()
    with store.write() as db:
        meta.fence(db, new)
        assert db.get(SessionRow, "x") is None


def test_a_full_database_is_a_storage_error(store: Store) -> None:
    with store.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    store.engine.dispose()

    def fill() -> None:
        with store.write() as db:
            db.execute(text(f"PRAGMA max_page_count={pages}"))
            db.add_all(
                [SessionRow(id=str(i), tenant="t", collection="c", title="x" * 2000) for i in range(500)]
            )

    with pytest.raises(StoreError) as caught:
        fill()
    assert caught.value.code == "storage"
    store.engine.dispose()
    assert store.generation() == 0


def test_unknown_urls_and_missing_stores_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="mysql"):
        engines.make_engine("mysql://x")
    with pytest.raises(StoreError, match="no store"):
        Store.open(tmp_path / "nowhere", create=False)
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="can't be used"):
        Store.open(tmp_path / "file")


def test_files_whose_database_is_lost_are_not_taken_for_garbage(store: Store) -> None:
    kept = store.segment_path("0" * 32)
    kept.write_bytes(b"vectors")
    store.close()
    database = store.directory / "hydra.db"
    whole = database.read_bytes()
    for lost in (b"", None):
        database.unlink()
        if lost is not None:
            database.write_bytes(lost)
        for create in (True, False):
            with pytest.raises(CorruptionError, match="put it back"):
                Store.open(store.directory, create=create)
    database.write_bytes(whole)
    Store.open(store.directory).close()
    assert kept.exists()


def test_times_come_back_aware_in_utc(store: Store) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=timezone(timedelta(hours=5)))
    with store.write() as db:
        db.add(SessionRow(id="x", tenant="t", collection="c", created=moment))
    with store.session() as db:
        row = db.get_one(SessionRow, "x")
    assert row.created == moment
    assert row.created.tzinfo is UTC


def test_durable_files_are_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp, final = tmp_path / "tmp", tmp_path / "deep" / "er"
    tmp.mkdir()
    digest, path = durable.write_hashed(b"content", tmp, lambda sha: final / sha)
    assert path.read_bytes() == b"content"
    assert durable.file_sha256(path) == digest
    assert durable.write_hashed(b"content", tmp, lambda sha: final / sha) == (digest, path)
    path.write_bytes(b"damaged"[:7])
    assert durable.write_hashed(b"content", tmp, lambda sha: final / sha) == (digest, path)
    assert path.read_bytes() == b"content", "damaged bytes were taken over"
    source = tmp_path / "source"
    source.write_bytes(b"content")
    path.write_bytes(b"damaged"[:7])
    durable.copy_hashed(source, tmp, lambda sha: final / sha)
    assert path.read_bytes() == b"content"
    source.write_bytes(b"abc" * 1_000_000)
    sha, size, copy = durable.copy_hashed(source, tmp, lambda sha: final / sha)
    assert (size, copy.read_bytes(), durable.file_sha256(source)) == (3_000_000, source.read_bytes(), sha)

    def no_disk(handle: int) -> None:
        raise OSError(5, "input/output error")

    monkeypatch.setattr("os.fsync", no_disk)
    with pytest.raises(OSError, match="input/output"):
        durable.write_hashed(b"other", tmp, lambda sha: final / sha)
    assert list(tmp.iterdir()) == []
    assert len(list(final.iterdir())) == 2


def test_ids_sort_in_the_order_they_were_made() -> None:
    ids = [new_id() for _ in range(2000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 2000
    assert {len(made) for made in ids} == {26}


@given(st.text())
def test_a_tenants_folder_is_a_plain_name(tenant: str) -> None:
    assert tenant_folder(tenant).isalnum()
    assert len(tenant_folder(tenant)) == 16
