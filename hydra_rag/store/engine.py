"""Database engines with the settings that durability needs.

SQLite: write-ahead log, ``synchronous=FULL``, foreign keys on, every write transaction begins with
``BEGIN IMMEDIATE``; PostgreSQL: every write transaction holds an advisory lock, to the same effect. SQLite
before 3.51.3 has a race that can corrupt a write-ahead log (two connections that write and checkpoint at the
same instant); with such a library the rollback journal is used instead.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import contextmanager
from importlib import import_module
from json import JSONDecodeError
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from hydra_rag.errors import MissingExtraError, StoreBusyError, StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["WRITE", "make_engine", "sqlite_driver", "translate_errors", "wal_is_safe"]

log = logging.getLogger(__name__)

#: Execution option that makes a transaction begin as a writer.
WRITE = {"hydra_write": True}

#: First release without the WAL-reset race, and the back-ports (https://sqlite.org/wal.html#walreset).
_WAL_SAFE = (3, 51, 3)
_WAL_SAFE_BACKPORTS = {(3, 50): 7, (3, 44): 6}

BUSY_TIMEOUT_S = 20.0

_BUSY = ("locked", "busy", "lock timeout", "could not serialize", "deadlock")

#: PostgreSQL's advisory lock that every write transaction of a store holds (any number will do).
_WRITE_LOCK = 0x68796472


def wal_is_safe(version: tuple[int, ...]) -> bool:
    """Whether this SQLite version can use the write-ahead log with several connections."""
    if version >= _WAL_SAFE or version < (3, 7, 0):
        return True
    patch = _WAL_SAFE_BACKPORTS.get((version[0], version[1]))
    return patch is not None and version[2] >= patch


def sqlite_driver() -> ModuleType:
    """The standard library's ``sqlite3``, or ``pysqlite3`` (a newer SQLite) where that one is affected."""
    if wal_is_safe(sqlite3.sqlite_version_info):
        return sqlite3
    try:
        other = import_module("pysqlite3.dbapi2")
    except ImportError:
        return sqlite3
    return other if wal_is_safe(other.sqlite_version_info) else sqlite3


def make_engine(url: str | None, directory: Path | None = None) -> Engine:
    """An engine for ``url``, or for ``directory/hydra.db`` when there is no URL.

    ``sqlite:///path`` and ``postgresql://...`` are supported. Raises :class:`UsageError` for others.
    """
    if url is None:
        if directory is None:
            raise UsageError("Give a store directory or a database URL.")
        return _sqlite_engine(f"sqlite:///{directory / 'hydra.db'}")
    if url.startswith("sqlite:"):
        return _sqlite_engine(url)
    if url.startswith(("postgresql:", "postgresql+", "postgres:")):
        return _postgres_engine(url)
    raise UsageError(f"Unknown database URL {url.split(':', 1)[0]!r}: use sqlite:///FILE or postgresql://...")


def _sqlite_engine(url: str) -> Engine:
    driver = sqlite_driver()
    wal = wal_is_safe(driver.sqlite_version_info)
    if not wal:
        log.warning(
            "SQLite %s can corrupt a write-ahead log; using the slower rollback journal. "
            "Install the package pysqlite3 (or SQLite 3.51.3) to avoid this.",
            driver.sqlite_version,
        )
    engine = create_engine(url, module=driver, connect_args={"timeout": BUSY_TIMEOUT_S})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        # The driver's own transaction handling would begin late (and never before DDL): switch it off,
        # SQLAlchemy's "begin" event below says BEGIN.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={int(BUSY_TIMEOUT_S * 1000)}")
        cursor.execute(f"PRAGMA journal_mode={'WAL' if wal else 'DELETE'}")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("hydra_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgres_engine(url: str) -> Engine:
    try:
        import_module("psycopg")
    except ImportError:
        raise MissingExtraError(
            'PostgreSQL needs the extra "postgres": pip install "hydra-rag[postgres]"'
        ) from None
    rest = url.split("://", 1)[1]
    # Readers of several statements (a hit and its confirmation) need one snapshot, as SQLite gives.
    engine = create_engine(
        f"postgresql+psycopg://{rest}", pool_pre_ping=True, isolation_level="REPEATABLE READ"
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if not connection.get_execution_options().get("hydra_write", False):
            return
        # One writer at a time, as SQLite has it: without, a removal beside an ingest ends one of the two
        # ("could not serialize access"). READ COMMITTED, since a snapshot would be taken before the wait.
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{int(BUSY_TIMEOUT_S)}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITE_LOCK})")

    return engine


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turn a driver's errors into the project's: busy, full or broken storage."""
    try:
        yield
    except JSONDecodeError as error:
        raise StoreError(
            f"The store's database is damaged (a value of it: {error}): restore a backup of hydra.db.",
            code="corruption",
        ) from error
    except DBAPIError as error:
        text = str(error.orig).lower()
        if any(word in text for word in _BUSY):
            raise StoreBusyError("The store's database is busy: try again in a moment.") from error
        if "full" in text or "disk i/o" in text or "readonly" in text or "unable to open" in text:
            raise StoreError(
                f"The store's database can't be written ({error.orig}): free some space or check the disk.",
                code="storage",
            ) from error
        if "malformed" in text or "not a database" in text or "could not decode" in text:
            raise StoreError(
                f"The store's database is damaged ({error.orig}): restore a backup of hydra.db.",
                code="corruption",
            ) from error
        raise
