"""Run migrations on an engine: one transaction, a backup before, foreign keys checked after."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from hydra_rag.errors import SchemaError, StoreError
from hydra_rag.store.durable import fsync_folder
from hydra_rag.store.engine import WRITE, sqlite_driver, translate_errors

__all__ = ["current", "downgrade", "head", "scripts", "upgrade"]

log = logging.getLogger(__name__)


def _config() -> Config:
    config = Config()
    # "%" would be read as interpolation by the underlying parser.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def head() -> str:
    """The newest revision. Raises when the history has more than one head."""
    revision = scripts().get_current_head()
    if revision is None:
        raise SchemaError("The installation holds no migrations: reinstall hydra-rag.")
    return revision


def current(engine: Engine) -> str | None:
    """The revision that the database stands at; ``None`` when it is empty."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(engine: Engine, revision: str = "head") -> str | None:
    """Bring the schema to ``revision``; returns the revision reached. Does nothing when it is there.

    Raises :class:`SchemaError` when the database was made by a newer program.
    """
    before = current(engine)
    _refuse_newer(before)
    target = head() if revision == "head" else revision
    if before == target:
        return before
    if before is not None:
        _backup(engine, before)
    with _transaction(engine) as connection:
        # Another process may have migrated while this one waited for the write lock.
        _refuse_newer(MigrationContext.configure(connection).get_current_revision())
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, target)
    return current(engine)


def downgrade(engine: Engine, revision: str) -> str | None:
    """Go back to ``revision`` (``"base"``: an empty database), with the same care."""
    before = current(engine)
    _refuse_newer(before)
    if before is not None:
        _backup(engine, before)
    with _transaction(engine) as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
    return current(engine)


def _refuse_newer(revision: str | None) -> None:
    known = {script.revision for script in scripts().walk_revisions()}
    if revision is not None and revision not in known:
        raise SchemaError(
            f"The store's schema {revision} is newer than this program (it knows up to {head()}): "
            "update hydra-rag, or restore the backup made before the store was migrated."
        )


@contextmanager
def _transaction(engine: Engine) -> Iterator[Connection]:
    """A write transaction with SQLite's foreign keys off (table rebuilds need that) and checked after."""
    sqlite = engine.dialect.name == "sqlite"
    with translate_errors(), engine.execution_options(**WRITE).connect() as connection:
        if sqlite:
            _pragma(connection, "foreign_keys=OFF")
        try:
            with connection.begin():
                yield connection
                if sqlite:
                    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
                    if broken:
                        raise SchemaError(
                            f"The migration would break {len(broken)} references and was undone: "
                            "run `hydra-rag doctor` and report this."
                        )
        finally:
            if sqlite:
                _pragma(connection, "foreign_keys=ON")


def _pragma(connection: Connection, setting: str) -> None:
    """Set a pragma on the raw connection: it has no effect inside a transaction."""
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _backup(engine: Engine, revision: str) -> None:
    """A whole copy of a SQLite database beside it, by the library's own online backup."""
    if engine.dialect.name != "sqlite" or not engine.url.database or engine.url.database == ":memory:":
        return
    source = Path(engine.url.database)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    target = source.with_name(f"{source.name}.before-{revision}-{stamp}.bak")
    temporary = target.with_suffix(".part")
    driver = sqlite_driver()
    try:
        with engine.connect() as connection:
            copy = driver.connect(str(temporary))
            try:
                connection.connection.dbapi_connection.backup(copy)  # type: ignore[union-attr]
            finally:
                copy.close()
        handle = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(temporary, target)
        fsync_folder(target.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StoreError(
            f"No backup of the database could be written ({error.strerror}), so it was not migrated: "
            "free some space and try again.",
            code="storage",
        ) from error
    log.info("backed up the database to %s before migrating it", target)
