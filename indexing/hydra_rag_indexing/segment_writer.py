"""Writing segment files; the format is described in :mod:`hydra_rag_indexing.segments`."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hydra_rag.errors import StoreError, UsageError

__all__ = [
    "SIZES",
    "SegmentInfo",
    "header_crc",
    "page_crc",
    "segment_path",
    "sync_directory",
    "write_segment",
]

_NAMES = {"float16": "F16", "float32": "F32"}
SIZES = {"F16": 2, "F32": 4, "I64": 8, "I32": 4}


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """What a catalog keeps of a segment. ``page_crc32``: one per page; ``sha256``: of the whole file."""

    id: str
    path: Path
    sha256: str
    bytes: int
    rows: int
    dim: int
    dtype: str
    page_crc32: list[int] = field(repr=False)
    page_rows: list[int] = field(repr=False)


def segment_path(directory: Path, segment_id: str) -> Path:
    return directory / f"{segment_id}.safetensors"


def write_segment(
    directory: Path,
    tmp: Path,
    pages: Sequence[npt.NDArray[Any]],
    *,
    boxes: Sequence[npt.NDArray[Any] | None] | None = None,
    dtype: str = "float16",
) -> SegmentInfo:
    """Write ``pages`` (each [n, dim], n >= 1) as a new segment in ``directory``; durable on return.

    ``tmp`` is a folder on the same file system. Raises ``UsageError`` for pages that can't be stored
    (no rows, unequal dims, not finite in ``dtype``), ``StoreError`` (code ``storage``) when the disk refuses.
    """
    kind = _NAMES.get(dtype)
    if kind is None:
        raise UsageError(f"Vectors are stored as float16 or float32, not {dtype!r}.")
    arrays, page_boxes, largest = _checked(pages, boxes, dtype)
    lengths = [len(a) for a in arrays]
    rows, dim = sum(lengths), arrays[0].shape[1]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype("<i8")
    crcs = [page_crc(a, b) for a, b in zip(arrays, page_boxes, strict=True)]
    metadata = {"format": "hydra-rag-segment-1", "max_norm": repr(largest), "page_crc32": _hex(crcs)}
    metadata["crc32"] = f"{header_crc(metadata, offsets):08x}"
    sizes = [rows * dim * SIZES[kind], offsets.nbytes, rows * 16]
    shapes = [(kind, [rows, dim]), ("I64", [len(lengths) + 1]), ("I32", [rows, 4])]
    header: dict[str, object] = {"__metadata__": metadata}
    start = 0
    for name, (code, shape), size in zip(("vectors", "offsets", "boxes"), shapes, sizes, strict=True):
        header[name] = {"dtype": code, "shape": shape, "data_offsets": [start, start + size]}
        start += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % 64)  # so that the vectors start on a cache line
    segment_id = secrets.token_hex(16)
    target = segment_path(directory, segment_id)
    parts: Iterable[Any] = (len(text).to_bytes(8, "little"), text, *arrays, offsets, *page_boxes)
    try:
        digest, size = _write_durably(tmp / f"{segment_id}.tmp", target, parts)
    except OSError as error:
        raise StoreError(
            f"Could not write a segment to {directory}: {error}. Free some space or check the disk, then"
            " run the same command again.",
            code="storage",
        ) from error
    return SegmentInfo(segment_id, target, digest, size, rows, dim, dtype, crcs, lengths)


def _checked(
    pages: Sequence[npt.NDArray[Any]], boxes: Sequence[npt.NDArray[Any] | None] | None, dtype: str
) -> tuple[list[npt.NDArray[Any]], list[npt.NDArray[np.int32]], float]:
    if not pages:
        raise UsageError("A segment needs at least one page.")
    if boxes is not None and len(boxes) != len(pages):
        raise UsageError(f"{len(pages)} pages but boxes for {len(boxes)}.")
    arrays: list[npt.NDArray[Any]] = []
    page_boxes: list[npt.NDArray[np.int32]] = []
    largest = 0.0
    for i, page in enumerate(pages):
        source = np.asarray(page)
        if source.ndim != 2 or not source.shape[0] or not source.shape[1]:
            raise UsageError(f"Page {i} must be [tokens >= 1, dim >= 1], got shape {source.shape}.")
        if arrays and source.shape[1] != arrays[0].shape[1]:
            raise UsageError(f"Page {i} has {source.shape[1]} dimensions, the first {arrays[0].shape[1]}.")
        with np.errstate(over="ignore"):
            array = np.ascontiguousarray(source, dtype=np.dtype(dtype).newbyteorder("<"))
        norms = np.einsum("ij,ij->i", array, array, dtype=np.float64)
        if not np.isfinite(norms).all():
            raise UsageError(
                f"Page {i} has values that are not finite in {dtype}: scale them or use float32."
            )
        largest = max(largest, float(np.sqrt(norms.max())))
        box = None if boxes is None else boxes[i]
        if box is None:
            placed = np.full((len(array), 4), -1, "<i4")
        elif np.shape(box) == (len(array), 4):
            placed = np.ascontiguousarray(box, "<i4")
        else:
            raise UsageError(f"Page {i} has {len(array)} vectors but boxes of shape {np.shape(box)}.")
        arrays.append(array)
        page_boxes.append(placed)
    return arrays, page_boxes, largest


def _write_durably(tmp: Path, target: Path, parts: Iterable[Any]) -> tuple[str, int]:
    """tmp file, fsync, rename, fsync of the folder. Returns (sha256, bytes); removes ``tmp`` on failure."""
    digest, size = hashlib.sha256(), 0
    try:
        with open(tmp, "xb") as file:
            for part in parts:
                data = part if isinstance(part, bytes) else memoryview(part).cast("B")
                digest.update(data)
                size += file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(tmp, target)
    except BaseException:
        with contextlib.suppress(OSError):
            tmp.unlink()
        raise
    sync_directory(target.parent)
    return digest.hexdigest(), size


def sync_directory(directory: Path) -> None:
    """Make renames in ``directory`` survive a power cut."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def header_crc(metadata: dict[str, str], offsets: npt.NDArray[np.int64]) -> int:
    covered = "|".join(f"{k}={metadata[k]}" for k in sorted(metadata) if k != "crc32")
    return zlib.crc32(offsets.tobytes(), zlib.crc32(covered.encode()))


def page_crc(vectors: npt.NDArray[Any], boxes: npt.NDArray[np.int32]) -> int:
    return zlib.crc32(boxes.data, zlib.crc32(vectors.data))


def _hex(values: Iterable[int]) -> str:
    return "".join(f"{v:08x}" for v in values)
