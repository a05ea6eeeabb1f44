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
import numpy.typing as npt

from hydra_rag_indexing.page_table import PageTable

if TYPE_CHECKING:
    from hydra_rag_indexing.candidates import FirstStage

__all__ = ["load_stage", "refused_rows", "save_stage"]

log = logging.getLogger(__name__)

_FORMAT = "hydra-rag-first-stage-3"
_REFUSED = "no-first-stage"
_PATTERN = "first-stage-*.safetensors"


def save_stage(cache_dir: Path, stage: FirstStage | int, table: PageTable) -> Path | None:
    """Write ``stage`` and remove older files. A cache that can't be written is only a warning.

    A number instead of a stage: so many vectors there are, and no first stage was good enough.
    """
    if isinstance(stage, int):
        return _write(cache_dir, cache_dir / _REFUSED, str(stage).encode())
    return _write(cache_dir, *_file(cache_dir, stage, table))


def refused_rows(cache_dir: Path) -> int:
    """The number that :func:`save_stage` kept; 0 when there is none (or it can't be read)."""
    try:
        return int((cache_dir / _REFUSED).read_bytes())
    except (OSError, ValueError):
        return 0


def _file(cache_dir: Path, stage: FirstStage, table: PageTable) -> tuple[Path, bytes]:
    from safetensors.numpy import save

    positions = np.flatnonzero(stage.covered & table.alive)
    number = np.full(len(table), -1, np.int64)
    number[positions] = np.arange(len(positions))
    pages, centroids = stage.lists.pairs()
    kept = number[pages] >= 0
    order = np.lexsort((number[pages[kept]], centroids[kept]))
    tensors: dict[str, npt.NDArray[Any]] = {
        "centroids": stage.probe.codes,
        "scale": stage.probe.scale,
        "lengths": np.bincount(centroids[kept], minlength=len(stage.probe.codes)).astype(np.int32),
        "pages": number[pages[kept]][order].astype(np.uint16 if len(positions) <= 1 << 16 else np.int32),
        "shift": stage.shift.codes[positions],
        "shift_scale": stage.shift.scale[positions],
        "keys": table.keys[positions],
        "crc32": table.checksums()[positions].astype(np.uint32),
    }
    data = save(tensors, {"format": _FORMAT, "settings": json.dumps(stage.settings)})
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
    try:
        files = sorted(cache_dir.glob(_PATTERN), key=lambda p: p.stat().st_mtime, reverse=True)
    except OSError:
        return None
    for path in files:
        try:
            data = path.read_bytes()
            if path.name != f"first-stage-{hashlib.sha256(data).hexdigest()}.safetensors":
                raise ValueError("its digest does not match its name")
            return _parse(data, table, dim)
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            log.warning("The search cache %s is not used (%s).", path.name, error)
            with contextlib.suppress(OSError):
                path.unlink()
    return None


def _parse(data: bytes, table: PageTable, dim: int) -> FirstStage | None:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    from hydra_rag_indexing.candidates import FirstStage, typed_settings
    from hydra_rag_indexing.postings import Lists
    from hydra_rag_indexing.probe import Probe

    try:
        tensors = load(data)
        length = int.from_bytes(data[:8], "little")
        metadata: dict[str, Any] = json.loads(data[8 : 8 + length])["__metadata__"]
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    centroids, lengths, pages = tensors["centroids"], tensors["lengths"], tensors["pages"]
    scale = tensors["scale"]
    if metadata["format"] != _FORMAT or centroids.shape[1] != dim or len(lengths) != len(centroids):
        raise ValueError("it has another format or dimension")
    settings = json.loads(metadata["settings"])
    positions = table.positions(tensors["keys"])
    known = (positions >= 0) & (table.checksums()[positions] == tensors["crc32"])
    positions = np.where(known, positions, -1)
    owners = positions[pages]
    kept = owners >= 0
    of = np.repeat(np.arange(len(lengths)), lengths)
    covered = np.zeros(len(table), bool)
    covered[positions[known]] = True
    if not covered.any():
        return None
    shift = Probe(np.ascontiguousarray(tensors["shift"], np.int8), tensors["shift_scale"].astype(np.float32))
    if shift.codes.shape != (len(positions), dim) or len(shift.scale) != len(positions):
        raise ValueError("its arrays do not fit together")
    return FirstStage(
        Probe(np.ascontiguousarray(centroids, np.int8), np.ascontiguousarray(scale, np.float32)),
        Lists.make(owners[kept], of[kept], len(centroids)),
        covered,
        shift.placed(positions, len(table)),
        **typed_settings(settings),
    )
