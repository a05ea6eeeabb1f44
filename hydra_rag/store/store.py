"""One data directory: database, files and the folders they live in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from sqlalchemy import Engine, inspect, select, text
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.orm import Session

from hydra_rag.errors import CorruptionError, StoreError, UsageError
from hydra_rag.store.engine import WRITE, make_engine, translate_errors
from hydra_rag.store.ids import tenant_folder
from hydra_rag.store.models import MetaRow

__all__ = ["SCHEMA_REVISION", "Store"]

#: Newest migration this program knows (a test compares it with the migration scripts). When the
#: database says the same, opening needs no migration tools at all.
SCHEMA_REVISION = "0002"


class Store:
    """The store in ``directory``; safe to use from several threads and processes.

    Layout: ``hydra.db``, ``lock`` (write lease), ``blobs/`` (originals), ``pages/`` (page images),
    ``segments/`` (vectors), ``cache/`` (deletable at any time), ``tmp/``, ``trash/``.
    """

    def __init__(self, directory: Path, engine: Engine) -> None:
        self.directory = directory
        self.engine = engine
        self.blobs_dir = directory / "blobs"
        self.pages_dir = directory / "pages"
        self.segments_dir = directory / "segments"
        self.questions_dir = directory / "questions"
        self.cache_dir = directory / "cache"
        self.tmp_dir = directory / "tmp"
        self.trash_dir = directory / "trash"

    @classmethod
    def open(cls, directory: Path | str, *, url: str | None = None, create: bool = True) -> Store:
        """Open or create a store; brings its schema up to date.

        ``url``: a database elsewhere (``postgresql://...``); files stay in ``directory``.
        Raises :class:`StoreError` when there is no store and ``create`` is false or the folder can't be
        used, :class:`CorruptionError` when the folder holds a store's files and the database is gone,
        :class:`SchemaError` when the schema is newer than this program.
        """
        directory = Path(directory).expanduser().absolute()
        if not create and not directory.is_dir():
            raise StoreError(f"There is no store at {directory}: check --store or ingest something first.")
        try:
            for name in ("", "blobs", "pages", "segments", "cache", "tmp", "trash"):
                (directory / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"The store's folder {directory} can't be used ({error.strerror}): choose another one."
            ) from error
        store = cls(directory, make_engine(url, directory))
        try:
            with translate_errors():
                revision = store.schema_revision()
                if revision is None:
                    store._refuse_lost_database()
                if revision != SCHEMA_REVISION:
                    # Found by name: the migrations sit above this layer.
                    import_module("hydra_rag_migrations").upgrade(store.engine)
        except DBAPIError as error:
            store.close()
            raise StoreError(
                f"The database of {directory} can't be opened ({error.orig}): check --store or the URL."
            ) from error
        except BaseException:
            store.close()
            raise
        return store

    def schema_revision(self) -> str | None:
        """The migration the database stands at; ``None`` for an empty database."""
        with self.engine.connect() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()

    def _refuse_lost_database(self) -> None:
        """Files without a database that names them would be taken for garbage and swept."""
        folders = (self.segments_dir, self.blobs_dir, self.pages_dir, self.questions_dir)
        held = any(names for folder in folders for _, _, names in os.walk(folder))
        # A database comes before its first file, so it is looked for once more: another process may just
        # have made both.
        if held and self.schema_revision() is None:
            where = "hydra.db" if self.engine.dialect.name == "sqlite" else "its PostgreSQL database"
            raise CorruptionError(
                f"{self.directory} holds the files of a store, but {where} is missing or empty: put it back, "
                "run `hydra-rag restore` into a new folder, or name another folder."
            )

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A read transaction: everything in it sees one state of the database. Raises :class:`UsageError`
        when it is asked for a value that no database holds (a huge number, text that is not Unicode)."""
        with (
            translate_errors(),
            _askable(),
            Session(self.engine, expire_on_commit=False, autoflush=False) as session,
        ):
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A write transaction, alone from its beginning; commits at the end, rolls back on any error."""
        engine = self.engine.execution_options(**WRITE)
        with translate_errors(), Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    def generation(self) -> int:
        """Grows with every visible change."""
        with self.session() as session:
            return session.scalars(select(MetaRow.generation).where(MetaRow.id == 1)).one()

    def blob_path(self, tenant: str, sha256: str, suffix: str) -> Path:
        return self.blobs_dir / tenant_folder(tenant) / sha256[:2] / f"{sha256}{suffix}"

    def page_image_path(self, tenant: str, sha256: str, suffix: str) -> Path:
        return self.pages_dir / tenant_folder(tenant) / sha256[:2] / f"{sha256}{suffix}"

    def question_image_path(self, tenant: str, sha256: str) -> Path:
        """An image that somebody asked with, kept so that the turn can be asked again."""
        return self.questions_dir / tenant_folder(tenant) / f"{sha256}.png"

    def segment_path(self, segment_id: str) -> Path:
        return self.segments_dir / f"{segment_id}.safetensors"

    def close(self) -> None:
        self.engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def _askable() -> Iterator[None]:
    try:
        yield
    except (OverflowError, UnicodeEncodeError, DataError) as error:
        why = getattr(error, "orig", error)
        raise UsageError(f"There is nothing like that in a store ({why}): correct the value.") from error
