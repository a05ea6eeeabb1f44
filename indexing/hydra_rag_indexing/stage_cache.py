"""The first stage on disk: a cache that may be deleted, lost or damaged at any time.

One safetensors file, named by the SHA-256 of its contents: it is written under a temporary name, synced and
renamed, and believed only when the digest fits. It names pages by key and by the checksum of their vectors,
so that a file of another collection, model or time covers nothing that it should not.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hydra_rag_indexing.page_table import PageTable

if TYPE_CHECKING:
    from hydra_rag_indexing.first_stage import FirstStage

__all__ = ["load_stage", "newest", "refused_rows", "save_stage"]

log = logging.getLogger(__name__)

_FORMAT = "hydra-rag-first-stage-4"
_REFUSED = "no-first-stage"
_PATTERN = "first-stage-*.safetensors"


def save_stage(cache_dir: Path, stage: FirstStage | tuple[int, str], table: PageTable) -> Path | None:
    """Write ``stage`` and remove older files. A cache that can't be written is only a warning.

    Instead of a stage: so many vectors there are, and this kind was not good enough.
    """
    if isinstance(stage, tuple):
        return _write(cache_dir, cache_dir / _REFUSED, "{} {}".format(*stage).encode())
    path = _write(cache_dir, *_file(cache_dir, stage, table))
    stage.origin = "" if path is None else path.name
    return path


def newest(cache_dir: Path) -> str:
    """The name of the file that :func:`load_stage` would read first; empty when there is none."""
    files = _files(cache_dir)
    return files[0].name if files else ""


def refused_rows(cache_dir: Path, kind: str) -> int:
    """How many vectors there were when this kind was refused; 0 where that is not known."""
    try:
        rows, refused = (cache_dir / _REFUSED).read_text().split()
        return int(rows) if refused == kind else 0
    except (OSError, ValueError):
        return 0


def _file(cache_dir: Path, stage: FirstStage, table: PageTable) -> tuple[Path, bytes]:
    from safetensors.numpy import save

    positions = np.flatnonzero(stage.covered & table.alive)
    tensors = stage.tensors(positions) | {
        "keys": table.keys[positions],
        "crc32": table.checksums()[positions].astype(np.uint32),
    }
    metadata = {"format": _FORMAT, "kind": stage.kind, "settings": json.dumps(stage.settings.saved())}
    data = save(tensors, metadata | {"dim": str(table.segments[0].dim)})
    return cache_dir / f"first-stage-{hashlib.sha256(data).hexdigest()}.safetensors", data


def _write(cache_dir: Path, path: Path, data: bytes) -> Path | None:
    tmp = cache_dir / f"{secrets.token_hex(8)}.tmp"
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with open(tmp, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(tmp, path)
        for other in [*cache_dir.glob(_PATTERN), cache_dir / _REFUSED, *cache_dir.glob("*.tmp")]:
            if other != path:
                other.unlink(missing_ok=True)
    except OSError as error:
        log.warning(
            "The search cache %s can't be written (%s): it is built again next time.", cache_dir, error
        )
        with contextlib.suppress(OSError):
            tmp.unlink()
        return None
    return path


def load_stage(cache_dir: Path, table: PageTable, dim: int) -> FirstStage | None:
    """The cached first stage for ``table``, or ``None``. Pages that it does not know are not covered."""
    for path in _files(cache_dir):
        try:
            data = path.read_bytes()
            if path.name != f"first-stage-{hashlib.sha256(data).hexdigest()}.safetensors":
                raise ValueError("its digest does not match its name")
            stage = _parse(data, table, dim)
            if stage is not None:
                stage.origin = path.name
            return stage
        except (OSError, ValueError, KeyError, TypeError, IndexError, RuntimeError) as error:
            log.warning("The search cache %s is not used (%s).", path.name, error)
            with contextlib.suppress(OSError):
                path.unlink()
    return None


def _files(cache_dir: Path) -> list[Path]:
    try:
        return sorted(cache_dir.glob(_PATTERN), key=lambda p: p.stat().st_mtime, reverse=True)
    except OSError:
        return []


def _parse(data: bytes, table: PageTable, dim: int) -> FirstStage | None:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    from hydra_rag_indexing.first_stage import StageSettings
    from hydra_rag_indexing.page_lists import PageLists
    from hydra_rag_indexing.product_codes import ProductCodes

    try:
        tensors = load(data)
        length = int.from_bytes(data[:8], "little")
        metadata: dict[str, Any] = json.loads(data[8 : 8 + length])["__metadata__"]
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    if metadata["format"] != _FORMAT or metadata["dim"] != str(dim):
        raise ValueError("it has another format or dimension")
    positions = table.positions(tensors["keys"])
    known = (positions >= 0) & (table.checksums()[positions] == tensors["crc32"])
    if not known.any():
        return None
    kinds: dict[str, type[FirstStage]] = {"lists": PageLists, "product": ProductCodes}
    kind = kinds[metadata["kind"]]
    settings = StageSettings.parse(json.loads(metadata["settings"]))
    return kind.from_tensors(tensors, np.where(known, positions, -1), len(table), settings)
