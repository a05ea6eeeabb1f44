"""The single checks behind ``doctor``: rows against files, rows against rows. Read-only, no lease."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import exists, func, select, text
from sqlalchemy.orm import Session

from hydra_rag.errors import CorruptionError
from hydra_rag.geometry import Box
from hydra_rag.store.documents import failed_pages
from hydra_rag.store.durable import file_sha256
from hydra_rag.store.models import (
    BlobRow,
    CollectionRow,
    DocumentRow,
    PageRow,
    PageVectorsRow,
    PageWordsRow,
    SegmentRow,
)
from hydra_rag.store.store import Store
from hydra_rag.values import Word
from hydra_rag_indexing.files.page import join_words
from hydra_rag_indexing.sweep import find_garbage
from hydra_rag_indexing.text import normalize

__all__ = ["Checked", "Problem", "check_store"]

_RETRIES = 3


@dataclass(frozen=True, slots=True)
class Problem:
    """``subject``: what it is about: (table, primary key) of the row."""

    code: str
    message: str
    subject: tuple[str, str] = ("store", "")


@dataclass(frozen=True, slots=True)
class Checked:
    problems: list[Problem]
    pages: int
    segments: int


def check_store(store: Store) -> Checked:
    """Every check; rows are read in one state of the database, files after that.

    When another process changed the store meanwhile, what looks wrong may only be new: look again. A file
    that is missing because its row went, too, is no problem.
    """
    for _ in range(_RETRIES):
        generation = store.generation()
        checked = _check(store)
        if not checked.problems or store.generation() == generation:
            break
    with store.session() as db:
        return replace(checked, problems=[p for p in checked.problems if not _gone(db, *p.subject)])


def _gone(db: Session, table: str, key: str) -> bool:
    """Whether the row that names a file has left the database."""
    tenant, _, sha = key.rpartition("/")
    if table == "segments":
        return db.get(SegmentRow, key) is None
    if table == "blobs":
        return db.get(BlobRow, (tenant, sha)) is None
    if table == "pages":
        named = select(PageRow.page_key).where(PageRow.tenant == tenant, PageRow.image_sha256 == sha)
        return db.scalar(named.limit(1)) is None
    return False


def _check(store: Store) -> Checked:
    with store.session() as db:
        problems = [*_database(db), *_documents(db), *_vectors(db), *_text(db)]
        segments = list(db.scalars(select(SegmentRow).order_by(SegmentRow.id)))
        rows: dict[str, list[PageVectorsRow]] = {segment.id: [] for segment in segments}
        for row in db.scalars(select(PageVectorsRow)):
            rows.setdefault(row.segment_id, []).append(row)
        images = db.execute(
            select(PageRow.tenant, PageRow.image_sha256, PageRow.image_suffix, PageRow.image_bytes).distinct()
        ).all()
        blobs = list(db.scalars(select(BlobRow)))
        pages = db.scalar(select(func.count()).select_from(PageRow)) or 0
    found: list[Problem] = []
    for segment in segments:
        found += _segment(store, segment, rows[segment.id])
    for tenant, sha, suffix, size in images:
        path = store.page_image_path(tenant, sha, suffix)
        found += _file("image", path, sha, size, ("pages", f"{tenant}/{sha}"))
    for blob in blobs:
        path = store.blob_path(blob.tenant, blob.sha256, blob.suffix)
        found += _file("original", path, blob.sha256, blob.bytes, ("blobs", f"{blob.tenant}/{blob.sha256}"))
    problems += found
    garbage = find_garbage(store)
    if garbage.suspicious:
        problems.append(
            Problem(
                "unknown_files",
                f"{len(garbage.unknown)} files ({garbage.unknown_bytes >> 20} MiB) are named by no row. "
                "If an older database was restored they hold newer data: nothing is cleaned up until "
                "the matching database is back or these files are moved away.",
            )
        )
    return Checked(problems, pages, len(segments))


def _database(db: Session) -> Iterator[Problem]:
    bind = db.get_bind()
    if bind.dialect.name != "sqlite":
        return
    # On a connection of its own: one that has searched keeps parts of the text index, which another process
    # may have written anew since, and would report those as damage.
    path = bind.engine.url.database or ":memory:"
    try:
        with closing(sqlite3.connect(path)) as fresh:
            lines = [line for (line,) in fresh.execute("PRAGMA integrity_check(20)") if line != "ok"]
    except sqlite3.DatabaseError as error:
        lines = [str(error)]
    for line in lines:
        yield Problem("database", f"SQLite reports: {line}. Restore a backup of hydra.db.")
    broken = db.execute(text("PRAGMA foreign_key_check")).fetchall()
    if broken:
        yield Problem("references", f"{len(broken)} rows refer to rows that do not exist.")


def _documents(db: Session) -> Iterator[Problem]:
    query = (
        select(
            DocumentRow,
            func.count(PageRow.page_key),
            func.min(PageRow.page_number),
            func.max(PageRow.page_number),
        )
        .outerjoin(PageRow, PageRow.document_id == DocumentRow.id)
        .where(DocumentRow.state == "ready")
        .group_by(DocumentRow.id)
    )
    for row, count, first, last in db.execute(query):
        failed = {page.page for page in failed_pages(row)}
        whole = count + len(failed)
        if (
            count != row.page_count
            or count < 1
            or min([first, *failed]) != 1
            or max([last, *failed]) != whole
        ):
            yield Problem(
                "pages",
                f"{row.name} should have {row.page_count} pages but {count} are stored: "
                "remove it and ingest it again.",
                ("documents", row.id),
            )


def _vectors(db: Session) -> Iterator[Problem]:
    has = exists().where(
        PageVectorsRow.page_key == PageRow.page_key,
        PageVectorsRow.fingerprint == CollectionRow.fingerprint,
    )
    query = (
        select(PageRow.page_key, DocumentRow.name, PageRow.page_number)
        .join(DocumentRow, DocumentRow.id == PageRow.document_id)
        .join(
            CollectionRow,
            (CollectionRow.tenant == PageRow.tenant) & (CollectionRow.name == PageRow.collection),
        )
        .where(~has)
    )
    for key, name, number in db.execute(query):
        yield Problem(
            "vectors_missing",
            f"Page {number} of {name} has no vectors, so no search by its looks finds it: "
            "run `hydra-rag doctor --repair`.",
            ("page_vectors", str(key)),
        )


def _text(db: Session) -> Iterator[Problem]:
    key = "rowid" if db.get_bind().dialect.name == "sqlite" else "page_key"
    rows = db.execute(text(f"SELECT {key}, text FROM page_text"))
    indexed = {page: zlib.crc32(value.encode()) for page, value in rows}
    pages = set(db.scalars(select(PageRow.page_key)))
    wrong = indexed.keys() - pages
    for page_key, listed in db.execute(select(PageWordsRow.page_key, PageWordsRow.words)):
        words = join_words([Word(str(word), Box(*box)) for word, *box in listed])
        if indexed.get(page_key) != zlib.crc32(normalize(words).encode()):
            wrong.add(page_key)
    for page_key in sorted(wrong):
        yield Problem(
            "text",
            f"The full-text table is out of step for page {page_key}: run `hydra-rag doctor --repair`.",
            ("page_text", str(page_key)),
        )


def _segment(store: Store, segment: SegmentRow, rows: Iterable[PageVectorsRow]) -> Iterator[Problem]:
    from hydra_rag_indexing.segments import open_segment

    path, subject = store.segment_path(segment.id), ("segments", segment.id)
    hint = "Run `hydra-rag doctor --repair` to embed its pages anew."
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        yield Problem("segment_missing", f"The vector file {path.name} is missing. {hint}", subject)
        return
    if size != segment.bytes:
        message = f"The vector file {path.name} has {size} of {segment.bytes} bytes. {hint}"
        yield Problem("segment_truncated", message, subject)
        return
    try:
        opened = open_segment(path, expected_bytes=segment.bytes)
        opened.verify(segment.sha256)
    except CorruptionError:
        message = f"The vector file {path.name} does not match its checksum. {hint}"
        yield Problem("segment_corrupt", message, subject)
        return
    starts = {int(start): number for number, start in enumerate(opened.offsets[:-1])}
    taken: set[int] = set()
    for row in rows:
        number = starts.get(row.row_start)
        good = (
            number is not None
            and row.row_start not in taken
            and int(opened.offsets[number + 1]) - row.row_start == row.row_count
            and opened.page_crc32[number] == row.crc32
        )
        taken.add(row.row_start)
        if not good:
            yield Problem(
                "rows",
                f"The vectors of page {row.page_key} are not where its row says. {hint}",
                ("page_vectors", f"{row.page_key}/{row.fingerprint}"),
            )


def _file(kind: str, path: Path, sha: str, size: int, subject: tuple[str, str]) -> Iterator[Problem]:
    what = "page image" if kind == "image" else "original"
    hint = "run `hydra-rag doctor --repair`."
    try:
        whole = path.stat().st_size == size and file_sha256(path) == sha
    except FileNotFoundError:
        yield Problem(f"{kind}_missing", f"The {what} {path.name} is missing: {hint}", subject)
        return
    except OSError as error:
        yield Problem(
            f"{kind}_corrupt", f"The {what} {path.name} can't be read ({error.strerror}): {hint}", subject
        )
        return
    if not whole:
        yield Problem(
            f"{kind}_corrupt", f"The {what} {path.name} does not match its checksum: {hint}", subject
        )
