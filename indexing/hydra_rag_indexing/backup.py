"""Backup and restore of a whole store: the database first, then the files that it names.

Nothing has to stop for a backup. The database is copied by SQLite's own backup, which gives one committed
state; the files that this state names never change, and one that a compaction has moved away meanwhile is
taken from the trash, or the database is copied once more. Every file is compared with its checksum on the
way. ``backup.json`` is written last: a folder without it is no backup.

Restoring copies into a new folder beside the target, compares every checksum, and renames it into place. (A
restore that is killed leaves that folder, ``.<name>.<random>.restoring``, which may be deleted.)
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from hydra_rag.errors import CorruptionError, NotFoundError, StoreError, UsageError
from hydra_rag.store.durable import fsync_folder, make_folder
from hydra_rag.store.engine import make_engine, sqlite_driver
from hydra_rag.store.models import SegmentRow
from hydra_rag.store.store import Store
from hydra_rag_indexing.sweep import named_files

__all__ = ["BackupReport", "backup", "restore"]

_FORMAT = "hydra-rag-backup-1"
_MANIFEST, _DATABASE = "backup.json", "hydra.db"
_ATTEMPTS = 5
_CHUNK = 1 << 20
_SAFE = re.compile(
    r"hydra\.db|(segments|blobs|pages|questions)(/[0-9a-f]{2,16})*/[0-9a-f]{32,64}(\.[a-z0-9]{1,11})?"
)


@dataclass(frozen=True, slots=True)
class BackupReport:
    """``files``: without the manifest; ``made``: ISO 8601, UTC."""

    directory: Path
    files: int
    bytes: int
    made: str

    def to_json(self) -> dict[str, Any]:
        return {"directory": str(self.directory), "files": self.files, "bytes": self.bytes, "made": self.made}


def backup(store: Store, target: Path | str) -> BackupReport:
    """Copy ``store`` (all tenants) into ``target``, a new or empty folder; others may write meanwhile.

    Raises ``UsageError`` when ``target`` holds something or the database is not SQLite, ``CorruptionError``
    when a file of the store is missing or damaged (then nothing there is a backup), ``StoreError`` when the
    disk refuses.
    """
    folder = Path(target).expanduser().absolute()
    if store.engine.dialect.name != "sqlite":
        raise UsageError(
            "This store keeps its rows in PostgreSQL: stop writing, run pg_dump, and copy the store's folder."
        )
    if folder == store.directory or store.directory in folder.parents:
        raise UsageError("A backup does not belong inside the store: choose another folder.")
    _must_be_empty(folder)
    with _disk_errors(folder):
        make_folder(folder)
        made = datetime.now(UTC).isoformat(timespec="seconds")
        files: dict[str, dict[str, Any]] = {}
        for attempt in range(1, _ATTEMPTS + 1):
            _copy_database(store, folder / _DATABASE)
            missing = None
            named = _named(folder)
            for name, sha in named.items():
                if name in files:
                    continue
                try:
                    files[name] = _copy(_source(store, name), folder / name, sha)
                except FileNotFoundError:
                    missing = name
                    break
            if missing is None:
                break
            if attempt == _ATTEMPTS:
                raise _damaged(store.directory / missing, "is missing")
        for name in set(files) - set(named):
            (folder / name).unlink(missing_ok=True)
            del files[name]
        files[_DATABASE] = _entry(folder / _DATABASE)
        for directory, _, _ in os.walk(folder):
            fsync_folder(Path(directory))
        manifest = {"format": _FORMAT, "made": made, "files": dict(sorted(files.items()))}
        _write(folder / _MANIFEST, json.dumps(manifest, indent=1).encode())
        fsync_folder(folder)
    return _report(folder, manifest)


def restore(source: Path | str, target: Path | str) -> BackupReport:
    """Make a store at ``target`` (new or an empty folder) from the backup in ``source``.

    All or nothing: ``target`` appears when everything was copied and compared. Raises ``NotFoundError`` when
    ``source`` is no backup, ``CorruptionError`` when a file of it is missing or damaged, ``UsageError`` when
    ``target`` holds something, ``StoreError`` when the disk refuses.
    """
    origin = Path(source).expanduser().absolute()
    folder = Path(os.path.realpath(Path(target).expanduser()))
    manifest = _manifest(origin)
    _must_be_empty(folder)
    mounted = os.path.ismount(folder)  # such a folder can't be replaced: it is filled
    with _disk_errors(folder):
        make_folder(folder.parent)
        beside = folder if mounted else folder.parent
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".restoring", dir=beside))
        try:
            for name, entry in manifest["files"].items():
                try:
                    copied = _copy(origin / name, partial / name, entry["sha256"])
                except FileNotFoundError:
                    raise _damaged(origin / name, "is missing") from None
                if copied != entry:
                    raise _damaged(origin / name, f"has not the size that {_MANIFEST} says")
            for directory, _, _ in os.walk(partial):
                os.chmod(directory, 0o700)
                fsync_folder(Path(directory))
            if mounted:
                # The database last: files without one are no store.
                for name in sorted(os.listdir(partial), key=lambda name: name == _DATABASE):
                    os.rename(partial / name, folder / name)
                partial.rmdir()
                fsync_folder(folder)
            else:
                os.rename(partial, folder)  # takes the place of an empty folder, and of nothing else
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        fsync_folder(folder.parent)
    return _report(folder, manifest)


def _manifest(origin: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((origin / _MANIFEST).read_bytes())
        if manifest["format"] != _FORMAT or _DATABASE not in manifest["files"]:
            raise ValueError("unknown format")
        for name, entry in manifest["files"].items():
            if not _SAFE.fullmatch(name) or not re.fullmatch("[0-9a-f]{64}", entry["sha256"]):
                raise ValueError(f"unexpected file {name!r}")
        _report(origin, manifest)
    except FileNotFoundError:
        raise NotFoundError(
            f"{origin} is no complete backup (no {_MANIFEST}): choose a folder that `hydra-rag backup` made."
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise CorruptionError(f"The list of files of the backup {origin} can't be read: {error}.") from error
    return manifest


def _copy_database(store: Store, target: Path) -> None:
    """One committed state of the database; whoever writes meanwhile is neither stopped nor seen by half."""
    for path in (target, target.with_name(target.name + "-wal"), target.with_name(target.name + "-shm")):
        path.unlink(missing_ok=True)
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT, 0o600))  # as private as the store's own folder
    raw = store.engine.raw_connection()
    try:
        connection: Any = raw.driver_connection
        with closing(type(connection)(str(target))) as copy:
            connection.backup(copy)
            # One file, whatever the original's journal.
            copy.execute("PRAGMA journal_mode=DELETE").close()
            found = copy.execute("PRAGMA integrity_check").fetchone()[0]
        if found != "ok":
            raise CorruptionError(f"The database is damaged ({found}): run `hydra-rag doctor`.")
    finally:
        raw.close()
    handle = os.open(target, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _named(folder: Path) -> dict[str, str]:
    """Files that the copied database names, with their SHA-256."""
    copied = Store(folder, make_engine(None, folder))
    try:
        with copied.session() as db:
            rows = db.execute(select(SegmentRow.id, SegmentRow.sha256))
            segments = {f"segments/{segment_id}.safetensors": sha for segment_id, sha in rows}
            # All other files are named by their checksum.
            return {name: segments.get(name) or Path(name).stem for name in named_files(db, copied)}
    finally:
        copied.close()


def _source(store: Store, name: str) -> Path:
    path = store.directory / name
    if path.exists():
        return path
    for day in sorted(store.trash_dir.iterdir(), reverse=True):
        thrown = day / name.replace("/", "__")
        if thrown.exists():
            return thrown
    return path


def _copy(source: Path, target: Path, sha256: str) -> dict[str, Any]:
    """Copy, make durable, compare. ``CorruptionError`` when the bytes are others."""
    digest, size = hashlib.sha256(), 0
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(source, "rb") as file, open(target, "wb") as out:
        os.chmod(target, 0o600)
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    if digest.hexdigest() != sha256:
        raise _damaged(source, "does not match its checksum")
    return {"sha256": sha256, "bytes": size}


def _entry(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def _write(path: Path, data: bytes) -> None:
    partial = path.with_suffix(".part")
    with open(partial, "wb") as out:
        os.chmod(partial, 0o600)
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    os.replace(partial, path)


def _must_be_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty: name a folder that does not exist yet.")


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite_driver().Error) as error:
        raise StoreError(
            f"{folder} could not be written ({error}): free some space or choose another folder, then begin"
            " again with an empty one.",
            code="storage",
        ) from error


def _damaged(path: Path, what: str) -> CorruptionError:
    return CorruptionError(f"{path} {what}: run `hydra-rag doctor --repair`, or take an older backup.")


def _report(folder: Path, manifest: dict[str, Any]) -> BackupReport:
    sizes = [int(entry["bytes"]) for entry in manifest["files"].values()]
    return BackupReport(folder, len(sizes), sum(sizes), str(manifest["made"]))
