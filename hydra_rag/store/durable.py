"""Files that survive a power cut: write to ``tmp``, fsync, rename, fsync the folder.

A file under its final name is always whole. The order is part of the store's promise: a row that names
a file is committed only after these functions have returned.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from hydra_rag.store.ids import new_id

__all__ = ["copy_hashed", "file_sha256", "fsync_folder", "make_folder", "publish", "write_hashed"]

_CHUNK = 1 << 20


def fsync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable."""
    handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Create ``folder`` and its parents, each made durable in its own parent."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    fsync_folder(folder.parent)


def publish(temporary: Path, final: Path) -> None:
    """Rename a finished, fsynced file to its final name and make the name durable."""
    make_folder(final.parent)
    os.replace(temporary, final)
    fsync_folder(final.parent)


def _write(tmp: Path, fill: Callable[[BinaryIO], None]) -> Path:
    """A fsynced file in ``tmp``; removed again when anything fails (a failed fsync is never retried)."""
    path = tmp / f"{new_id()}.part"
    try:
        with open(path, "xb") as out:
            fill(out)
            out.flush()
            os.fsync(out.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def write_hashed(data: bytes, tmp: Path, name: Callable[[str], Path]) -> tuple[str, Path]:
    """Store ``data`` at ``name(sha256)``. Returns the hash and the path; a whole file there is kept."""
    digest = hashlib.sha256(data).hexdigest()
    final = name(digest)
    if _is_whole(final, len(data), digest):
        _reuse(final)
        return digest, final
    temporary = _write(tmp, lambda out: _write_all(out, data))
    publish(temporary, final)
    return digest, final


def _is_whole(final: Path, size: int, sha256: str) -> bool:
    """Whether the file is there already, undamaged: a damaged one is replaced, not taken over."""
    return final.is_file() and final.stat().st_size == size and file_sha256(final) == sha256


def _reuse(final: Path) -> None:
    """Take over a file that is there already: young again for the sweep, and surely durable (an earlier
    process may have stopped between rename and folder fsync)."""
    os.utime(final)
    fsync_folder(final.parent)


def _write_all(out: BinaryIO, data: bytes) -> None:
    out.write(data)


def copy_hashed(source: Path, tmp: Path, name: Callable[[str], Path]) -> tuple[str, int, Path]:
    """Copy ``source`` to ``name(sha256 of the copy)``. Returns hash, bytes and path.

    The hash is of the bytes that were stored, so a source that changes meanwhile does no harm.
    """
    digest = hashlib.sha256()
    size = 0

    def fill(out: BinaryIO) -> None:
        nonlocal size
        with open(source, "rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                out.write(chunk)

    temporary = _write(tmp, fill)
    sha = digest.hexdigest()
    final = name(sha)
    if _is_whole(final, size, sha):
        temporary.unlink()
        _reuse(final)
    else:
        publish(temporary, final)
    return sha, size, final


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes. Raises ``OSError``."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
