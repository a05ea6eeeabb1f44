"""Messages between this process and the parser process: one JSON header, then raw bytes. No pickle.

A frame is a 4-byte little-endian header length, the header (UTF-8 JSON object), and ``header["bytes"]``
bytes of payload. The parser process is not trusted: the reader checks every size before it allocates.
Used by both sides, so this module imports nothing but the standard library.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol, TypeAlias

__all__ = ["HEADER_LIMIT", "LENGTH", "Buffer", "Picture", "Refused", "Source", "Span", "write_frame"]

LENGTH = struct.Struct("<I")
HEADER_LIMIT = 32 * 1024 * 1024

Buffer: TypeAlias = bytes | bytearray | memoryview
#: A word of the text layer: text, left, top, right, bottom in pixels of the picture.
Span: TypeAlias = tuple[str, int, int, int, int]


class Refused(Exception):
    """Raised in the parser process: the file can't be read. Becomes a ``FileError`` with this code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(slots=True)
class Picture:
    """One page in the parser process: packed RGB rows of ``stride`` bytes, and its text layer."""

    width: int
    height: int
    stride: int
    pixels: Buffer
    dpi: float | None = None
    label: str | None = None
    words: list[Span] = field(default_factory=list)

    def header(self) -> dict[str, object]:
        return {
            "ok": True,
            "width": self.width,
            "height": self.height,
            "stride": self.stride,
            "dpi": self.dpi,
            "label": self.label,
            "words": self.words,
            "bytes": self.stride * self.height,
        }


class Source(Protocol):
    """An open file in the parser process. Page numbers are 1-based; raises :class:`Refused`."""

    @property
    def pages(self) -> int: ...

    def page(self, number: int) -> Picture: ...

    def region(self, number: int, box: tuple[int, int, int, int], scale: float) -> Picture:
        """The part ``box`` (pixels of the stored page) drawn ``scale`` times larger where the file can."""
        ...


def write_frame(stream: BinaryIO, header: Mapping[str, object], payload: Buffer = b"") -> None:
    """Writes one frame and flushes. ``header["bytes"]`` must be the length of ``payload``."""
    text = json.dumps(header, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    stream.write(LENGTH.pack(len(text)))
    stream.write(text)
    stream.write(payload)
    stream.flush()
