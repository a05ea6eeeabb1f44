"""Uploaded files: counted, hashed and durable before the client hears of them.

A client's file name is a label. On disk there are only names of our own making.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from hydra_rag.store.durable import make_folder
from hydra_rag.store.ids import new_id, tenant_folder
from hydra_rag.store.models import JobRow
from hydra_rag.store.store import Store
from hydra_rag_api.server.errors import ApiError
from hydra_rag_api.server.limits import ServerSettings
from hydra_rag_api.server.recovery import uploads_dir

__all__ = ["Upload", "label_of", "queue_uploads", "receive"]

_CHUNK = 1 << 20
_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}")
_UNWANTED = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Upload:
    """A received file. ``id`` becomes the document's, ``name`` is its label."""

    id: str
    name: str
    path: Path
    bytes: int
    sha256: str


def label_of(name: str | None) -> str:
    """A client's file name as a harmless label: its last part, NFC, no control or direction characters."""
    text = unicodedata.normalize("NFC", _UNWANTED.sub("", name or ""))
    text = re.split(r"[/\\]", text)[-1].strip()
    if len(text) > 200:
        stem, dot, suffix = text.rpartition(".")
        text = f"{stem[:190]}.{suffix}" if dot and len(suffix) <= 8 else text[:200]
    return text if text not in ("", ".", "..") else "upload"


def receive(
    store: Store, settings: ServerSettings, tenant: str, files: Sequence[tuple[str | None, BinaryIO]]
) -> tuple[Path, list[Upload]]:
    """Copy files into the store's upload folder, all or none. Raises :class:`ApiError` 413 and 507."""
    if shutil.disk_usage(store.directory).free < settings.min_free_bytes:
        raise ApiError(507, "storage", "The server's disk is nearly full: uploads wait.")
    folder = uploads_dir(store) / tenant_folder(tenant) / new_id()
    make_folder(folder)
    uploads = []
    try:
        for index, (name, source) in enumerate(files):
            label = label_of(name)
            suffix = Path(label).suffix.lower()
            path = folder / f"{index:04d}{suffix if _SUFFIX.fullmatch(suffix) else ''}"
            size, sha = _copy(source, path, label, settings.max_file_bytes)
            uploads.append(Upload(new_id(), label, path, size, sha))
        _sync_folder(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder, uploads


def queue_uploads(
    store: Store,
    tenant: str,
    collection: str,
    uploads: Sequence[Upload],
    *,
    job_id: str,
    options: dict[str, Any],
) -> None:
    """One row per file, in one commit; from here on the files survive every crash."""
    rows = [
        JobRow(
            id=new_id(),
            tenant=tenant,
            collection=collection,
            batch=job_id,
            path=str(upload.path),
            options={
                **options,
                "upload": True,
                "name": upload.name,
                "document_id": upload.id,
                "bytes": upload.bytes,
                "sha256": upload.sha256,
            },
        )
        for upload in uploads
    ]
    with store.write() as db:
        db.add_all(rows)


def _copy(source: BinaryIO, path: Path, label: str, limit: int) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    source.seek(0)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as out:
            while chunk := source.read(_CHUNK):
                size += len(chunk)
                if size > limit:
                    raise ApiError(413, "file_too_large", f"{label} is larger than {limit} bytes.")
                digest.update(chunk)
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise ApiError(507, "storage", "The file could not be stored; the server's disk refused.") from error
    return size, digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
