"""Just enough of TrueType to embed a system font in a rendered page: character map and advance widths.

Format: OpenType specification, tables ``cmap`` (formats 4 and 12), ``head``, ``hhea``, ``hmtx``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

__all__ = ["TrueType", "fallback_fonts"]

#: Fonts with wide coverage that systems usually have, best first.
_NAMES = (
    "DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "FreeSans.ttf",
    "Arial Unicode.ttf", "NotoSansHebrew-Regular.ttf", "NotoSansArabic-Regular.ttf",
    "NotoSansDevanagari-Regular.ttf", "DroidSansFallbackFull.ttf", "DroidSansFallback.ttf", "ipag.ttf",
    "unifont.ttf",
)  # fmt: skip
_FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "/Library/Fonts",
    "/System/Library/Fonts",
    "C:/Windows/Fonts",
)
_MAX_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class TrueType:
    """A font file with outlines: ``glyphs`` maps code points to glyph ids, ``advances`` are in 1/1000 em."""

    data: bytes
    glyphs: dict[int, int]
    advances: list[float]

    def advance(self, code: int) -> float:
        glyph = self.glyphs[code]
        return self.advances[min(glyph, len(self.advances) - 1)]

    @classmethod
    def read(cls, path: Path) -> TrueType | None:
        """The font, or ``None`` when the file is not plain TrueType."""
        try:
            data = path.read_bytes() if path.stat().st_size <= _MAX_BYTES else b""
            if data[:4] not in (b"\0\1\0\0", b"true"):
                return None
            tables = _tables(data)
            (units,) = struct.unpack_from(">H", data, tables["head"] + 18)
            (count,) = struct.unpack_from(">H", data, tables["hhea"] + 34)
            metrics = struct.unpack_from(f">{count * 2}H", data, tables["hmtx"])[::2]
            return cls(data, _characters(data, tables["cmap"]), [width * 1000 / units for width in metrics])
        except (OSError, struct.error, KeyError, ZeroDivisionError):
            return None


def _tables(data: bytes) -> dict[str, int]:
    (count,) = struct.unpack_from(">H", data, 4)
    tables = {}
    for index in range(count):
        tag, _, offset, _ = struct.unpack_from(">4sIII", data, 12 + 16 * index)
        tables[tag.decode("latin-1")] = offset
    return tables


def _characters(data: bytes, base: int) -> dict[int, int]:
    (count,) = struct.unpack_from(">H", data, base + 2)
    glyphs: dict[int, int] = {}
    for index in range(count):
        platform, encoding, offset = struct.unpack_from(">HHI", data, base + 4 + 8 * index)
        if (platform, encoding) not in ((3, 1), (3, 10), (0, 3), (0, 4)):
            continue
        (layout,) = struct.unpack_from(">H", data, base + offset)
        if layout == 4:
            glyphs.update(_format4(data, base + offset))
        elif layout == 12:
            glyphs.update(_format12(data, base + offset))
    return {code: glyph for code, glyph in glyphs.items() if glyph}


def _format4(data: bytes, at: int) -> dict[int, int]:
    (twice,) = struct.unpack_from(">H", data, at + 6)
    count = twice // 2
    ends = struct.unpack_from(f">{count}H", data, at + 14)
    starts = struct.unpack_from(f">{count}H", data, at + 16 + twice)
    deltas = struct.unpack_from(f">{count}H", data, at + 16 + 2 * twice)
    ranges_at = at + 16 + 3 * twice
    ranges = struct.unpack_from(f">{count}H", data, ranges_at)
    glyphs = {}
    for index in range(count):
        for code in range(starts[index], min(ends[index], 0xFFFE) + 1):
            if ranges[index] == 0:
                glyphs[code] = (code + deltas[index]) & 0xFFFF
                continue
            place = ranges_at + 2 * index + ranges[index] + 2 * (code - starts[index])
            (glyph,) = struct.unpack_from(">H", data, place)
            glyphs[code] = (glyph + deltas[index]) & 0xFFFF if glyph else 0
    return glyphs


def _format12(data: bytes, at: int) -> dict[int, int]:
    (count,) = struct.unpack_from(">I", data, at + 12)
    glyphs = {}
    for index in range(count):
        start, end, glyph = struct.unpack_from(">III", data, at + 16 + 12 * index)
        for code in range(start, min(end, start + 0xFFFF) + 1):
            glyphs[code] = glyph + code - start
    return glyphs


def fallback_fonts(codes: set[int]) -> list[TrueType]:
    """System fonts that together cover as many of ``codes`` as can be had, each adding some."""
    missing, found = set(codes), []
    present = {path.name: path for folder in _FOLDERS for path in sorted(Path(folder).rglob("*.ttf"))}
    for name in _NAMES:
        if not missing:
            break
        font = TrueType.read(present[name]) if name in present else None
        if font is not None and missing & font.glyphs.keys():
            missing -= font.glyphs.keys()
            found.append(font)
    return found
