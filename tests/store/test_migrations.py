"""Schema: one head, equal to the models, reversible, transactional, backed up, refusing what is newer."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, event, text

from hydra_rag.errors import SchemaError, StoreError
from hydra_rag.store.base import Base
from hydra_rag.store.documents import list_documents
from hydra_rag.store.engine import make_engine
from hydra_rag.store.store import SCHEMA_REVISION, Store
from hydra_rag_migrations import current, downgrade, head, upgrade
from hydra_rag_migrations.compare import COMPARE
from hydra_rag_migrations.runner import scripts


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = make_engine(None, tmp_path)
    yield made
    made.dispose()


def test_there_is_one_head_and_the_program_knows_it() -> None:
    assert len(scripts().get_heads()) == 1
    assert head() == SCHEMA_REVISION


def test_a_blank_database_comes_to_the_head_and_equals_the_models(engine: Engine) -> None:
    assert current(engine) is None
    assert upgrade(engine) == head()
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=COMPARE)
        assert compare_metadata(context, Base.metadata) == []


def test_a_difference_between_models_and_schema_would_be_seen(engine: Engine) -> None:
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE documents ADD COLUMN extra TEXT"))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=COMPARE)
        assert compare_metadata(context, Base.metadata)


def test_down_and_up_again(engine: Engine) -> None:
    upgrade(engine)
    downgrade(engine, "base")
    with engine.connect() as connection:
        left = connection.execute(
            text("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        )
        assert {row[0] for row in left} == {"alembic_version"}
    assert upgrade(engine) == head()


def test_an_existing_database_is_copied_before_it_is_changed(engine: Engine, tmp_path: Path) -> None:
    upgrade(engine)
    assert not list(tmp_path.glob("*.bak")), "a new database needs no backup"
    with engine.begin() as connection:
        connection.execute(text("UPDATE store_meta SET generation = 41"))
    downgrade(engine, "base")
    [backup] = tmp_path.glob("hydra.db.before-*.bak")
    with sqlite3.connect(backup) as copy:
        assert copy.execute("SELECT generation FROM store_meta").fetchone() == (41,)
    copy.close()
    assert not list(tmp_path.glob("*.part"))


def test_a_migration_that_fails_changes_nothing(engine: Engine) -> None:
    def fail(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if "TABLE page_text" in statement:
            raise RuntimeError("stopped in the middle")

    event.listen(engine, "before_cursor_execute", fail)
    with pytest.raises(RuntimeError):
        upgrade(engine)
    event.remove(engine, "before_cursor_execute", fail)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM sqlite_master")).scalar() == 0
    assert upgrade(engine) == head()


def test_documents_of_the_first_schema_are_kept(store_dir: Path) -> None:
    with Store.open(store_dir) as store:
        downgrade(store.engine, "0001")
        with store.write() as db:
            db.execute(
                text("INSERT INTO collections (tenant, name, created) VALUES ('t', 'c', '2026-01-01')")
            )
            db.execute(
                text("INSERT INTO blobs (tenant, sha256, bytes, suffix, created) VALUES ('t', 'a', 1, '', 0)")
            )
            db.execute(
                text(
                    "INSERT INTO documents (id, tenant, collection, path, name, sha256, bytes, state, "
                    "page_count, options, added) VALUES ('d', 't', 'c', '/x', 'x', 'a', 1, 'ready', 3, '{}', "
                    "'2026-01-01 00:00:00')"
                )
            )
    with Store.open(store_dir) as store:
        [document] = list_documents(store, "t", "c")
        assert (document.document_id, document.failed_pages) == ("d", ())


def test_a_newer_schema_is_refused(store_dir: Path) -> None:
    with Store.open(store_dir) as store, store.write() as db:
        db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaError, match="newer than this program") as caught:
        Store.open(store_dir)
    assert caught.value.exit_code == 3


def test_opening_an_old_schema_migrates_it(store_dir: Path) -> None:
    with Store.open(store_dir) as store:
        downgrade(store.engine, "base")
    with Store.open(store_dir) as store:
        assert store.schema_revision() == head()
        assert store.generation() == 0


@pytest.mark.parametrize("content", [b"this is not a database at all, whatever it is called", b"\x00" * 5000])
def test_a_damaged_database_is_one_clear_error(store_dir: Path, content: bytes) -> None:
    store_dir.mkdir()
    (store_dir / "hydra.db").write_bytes(content)
    with pytest.raises(StoreError, match="damaged") as caught:
        Store.open(store_dir)
    assert caught.value.exit_code == 3
