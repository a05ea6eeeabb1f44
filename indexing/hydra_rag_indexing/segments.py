"""Immutable segment files: page vectors and their boxes, one safetensors file for a batch of pages.

Layout of ``<id>.safetensors`` (readable by the safetensors library): ``vectors`` [rows, dim] float16 or
float32, page after page; ``offsets`` int64 [pages + 1]; ``boxes`` int32 [rows, 4], (left, top, right, bottom)
in page pixels, all -1 where a page has none. The metadata holds a CRC-32 for every page (its vectors, then
its boxes), the largest row norm, and a CRC-32 over the offsets and the metadata itself.

A file is written under a temporary name, synced, renamed, and its folder synced; after that it is never
changed. Reading maps it: nothing is loaded before it is used, and each page's checksum is compared the
first time the page is used. Anything that does not add up raises ``CorruptionError``; a file that shrank
after it was mapped is noticed before the mapping is touched, since the kernel would end the process.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import threading
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hydra_rag.errors import CorruptionError, StoreError, UsageError

if TYPE_CHECKING:
    import torch

__all__ = ["Segment", "SegmentInfo", "open_segment", "segment_path", "write_segment"]

_NAMES = {"float16": "F16", "float32": "F32"}
_SIZES = {"F16": 2, "F32": 4, "I64": 8, "I32": 4}
_MAX_HEADER = 64 << 20


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
    crcs = [_page_crc(a, b) for a, b in zip(arrays, page_boxes, strict=True)]
    metadata = {"format": "hydra-rag-segment-1", "max_norm": repr(largest), "page_crc32": _hex(crcs)}
    metadata["crc32"] = f"{_header_crc(metadata, offsets):08x}"
    sizes = [rows * dim * _SIZES[kind], offsets.nbytes, rows * 16]
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


class Segment:
    """An open segment. Immutable and safe to share between threads; closed when nothing refers to it.

    ``vectors``: torch tensor [rows, dim] over the mapped file (never write to it). ``offsets``: int64
    [pages + 1]. ``boxes``: int32 [rows, 4], mapped too.
    """

    def __init__(self, path: Path, size: int, header: dict[str, Any], start: int) -> None:
        import torch

        self.path, self.id, self.size = path, path.stem, size
        code, (rows, dim), first, _ = header["vectors"]
        self.rows, self.dim, self.dtype = rows, dim, "float16" if code == "F16" else "float32"
        # Mapped by torch because it gives the descriptor back: thousands of segments may be open at once.
        raw = torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8)
        begin = start + first
        kind = torch.float16 if code == "F16" else torch.float32
        self.vectors: torch.Tensor = raw[begin : begin + rows * dim * _SIZES[code]].view(kind).view(rows, dim)
        array = raw.numpy()
        begin = start + header["boxes"][2]
        self.boxes: npt.NDArray[np.int32] = array[begin : begin + rows * 16].view("<i4").reshape(rows, 4)
        begin = start + header["offsets"][2]
        self.offsets: npt.NDArray[np.int64] = array[begin : start + header["offsets"][3]].view("<i8").copy()
        metadata = header["__metadata__"]
        self.max_norm = float(metadata["max_norm"])
        self.page_crc32 = [int(metadata["page_crc32"][i : i + 8], 16) for i in range(0, 8 * self.pages, 8)]
        self._good = np.zeros(self.pages, bool)
        self._lock = threading.Lock()

    @property
    def pages(self) -> int:
        return len(self.offsets) - 1

    def check_present(self) -> None:
        """Raise ``CorruptionError`` when the file on disk is no longer as long as the mapping.

        Reading past the end of a mapped file would end the process. A file that was deleted is fine: the
        mapping keeps its contents.
        """
        try:
            size = os.stat(self.path).st_size
        except FileNotFoundError:
            return
        if size != self.size:
            raise _damaged(self.path, f"it has {size} bytes, not {self.size}")

    def check_rows(self, starts: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> None:
        """Verify the pages with these rows: they must be whole pages, and their checksums must match.

        Checksums are computed once per page and process.
        """
        self.check_present()
        numbers = np.searchsorted(self.offsets, starts)
        inside = numbers < self.pages
        if not inside.all() or not (
            np.array_equal(self.offsets[numbers], starts)
            and np.array_equal(self.offsets[numbers + 1] - starts, counts)
        ):
            raise _damaged(self.path, "the catalog names rows that are not pages of it")
        for number in numbers[~self._good[numbers]].tolist():
            self._verify_page(number)

    def page(self, number: int) -> tuple[torch.Tensor, npt.NDArray[np.int32]]:
        """Vectors [n, dim] and boxes [n, 4] of page ``number`` (0-based within the segment), verified."""
        if not 0 <= number < self.pages:
            raise IndexError(f"segment {self.id} has {self.pages} pages, no page {number}")
        self.check_present()
        if not self._good[number]:
            self._verify_page(number)
        first, last = int(self.offsets[number]), int(self.offsets[number + 1])
        return self.vectors[first:last], self.boxes[first:last]

    def verify(self, sha256: str | None = None) -> None:
        """Read everything: every page's checksum and, if given, the digest of the whole file."""
        self.check_present()
        for number in range(self.pages):
            self._verify_page(number)
        if sha256 is not None:
            try:
                with open(self.path, "rb") as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise _damaged(self.path, f"it can't be read ({error})") from error
            if found != sha256:
                raise _damaged(self.path, "its digest does not match the catalog")

    def _verify_page(self, number: int) -> None:
        first, last = int(self.offsets[number]), int(self.offsets[number + 1])
        crc = _page_crc(self.vectors[first:last].numpy(), self.boxes[first:last])
        if crc != self.page_crc32[number]:
            raise _damaged(self.path, f"page {number} does not match its checksum")
        self._good[number] = True


def open_segment(path: Path, *, expected_bytes: int | None = None) -> Segment:
    """Map a segment; reads only its header and offsets. Raises ``CorruptionError``."""
    path = Path(path)
    try:
        size = os.stat(path).st_size
        if expected_bytes is not None and size != expected_bytes:
            raise _damaged(path, f"it has {size} bytes, not {expected_bytes}")
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(_MAX_HEADER, size - 8):
                raise _damaged(path, "its header is cut off")
            header = _parse(file.read(length), size - 8 - length)
        segment = Segment(path, size, header, 8 + length)
        metadata, offsets = header["__metadata__"], segment.offsets
        if metadata["crc32"] != f"{_header_crc(metadata, offsets):08x}":
            raise _damaged(path, "its header does not match its checksum")
        if offsets[0] != 0 or offsets[-1] != segment.rows or (np.diff(offsets) < 1).any():
            raise _damaged(path, "its page offsets are not in order")
    except FileNotFoundError as error:
        raise _damaged(path, "it is missing") from error
    except (ValueError, KeyError, TypeError, IndexError, RuntimeError, OSError) as error:
        raise _damaged(path, f"it can't be read ({error})") from error
    return segment


def _parse(text: bytes, room: int) -> dict[str, Any]:
    """The header as {name: (dtype, shape, start, end)} plus ``__metadata__``; ``ValueError`` if odd."""
    raw = json.loads(text)
    parsed: dict[str, Any] = {"__metadata__": dict(raw["__metadata__"])}
    end_of_last = 0
    for name, dims in (("vectors", 2), ("offsets", 1), ("boxes", 2)):
        code, shape = raw[name]["dtype"], [int(s) for s in raw[name]["shape"]]
        start, end = (int(x) for x in raw[name]["data_offsets"])
        expected = int(np.prod(shape, dtype=object)) * _SIZES[code]
        if len(shape) != dims or min(shape) < 1 or start != end_of_last or end - start != expected:
            raise ValueError(f"bad layout of {name}")
        end_of_last = end
        parsed[name] = (code, shape, start, end)
    rows = parsed["vectors"][1][0]
    if end_of_last != room or parsed["vectors"][0] not in ("F16", "F32") or parsed["boxes"][1] != [rows, 4]:
        raise ValueError("sizes do not add up")
    return parsed


def _header_crc(metadata: dict[str, str], offsets: npt.NDArray[np.int64]) -> int:
    covered = "|".join(f"{k}={metadata[k]}" for k in sorted(metadata) if k != "crc32")
    return zlib.crc32(offsets.tobytes(), zlib.crc32(covered.encode()))


def _page_crc(vectors: npt.NDArray[Any], boxes: npt.NDArray[np.int32]) -> int:
    return zlib.crc32(boxes.data, zlib.crc32(vectors.data))


def _hex(values: Iterable[int]) -> str:
    return "".join(f"{v:08x}" for v in values)


def _damaged(path: Path, what: str) -> CorruptionError:
    return CorruptionError(
        f"Segment {path.name} is damaged: {what}."
        " Run 'hydra-rag doctor --repair' or restore it from a backup."
    )
