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

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hydra_rag.errors import CorruptionError
from hydra_rag_indexing.segment_writer import (
    SIZES,
    SegmentInfo,
    header_crc,
    page_crc,
    segment_path,
    sync_directory,
    write_segment,
)

if TYPE_CHECKING:
    import torch

__all__ = ["Segment", "SegmentInfo", "open_segment", "segment_path", "sync_directory", "write_segment"]

_MAX_HEADER = 64 << 20


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
        self.vectors: torch.Tensor = raw[begin : begin + rows * dim * SIZES[code]].view(kind).view(rows, dim)
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
        crc = page_crc(self.vectors[first:last].numpy(), self.boxes[first:last])
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
        if metadata["crc32"] != f"{header_crc(metadata, offsets):08x}":
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
        expected = int(np.prod(shape, dtype=object)) * SIZES[code]
        if len(shape) != dims or min(shape) < 1 or start != end_of_last or end - start != expected:
            raise ValueError(f"bad layout of {name}")
        end_of_last = end
        parsed[name] = (code, shape, start, end)
    rows = parsed["vectors"][1][0]
    if end_of_last != room or parsed["vectors"][0] not in ("F16", "F32") or parsed["boxes"][1] != [rows, 4]:
        raise ValueError("sizes do not add up")
    return parsed


def _damaged(path: Path, what: str) -> CorruptionError:
    return CorruptionError(
        f"Segment {path.name} is damaged: {what}."
        " Run 'hydra-rag doctor --repair' or restore it from a backup."
    )
