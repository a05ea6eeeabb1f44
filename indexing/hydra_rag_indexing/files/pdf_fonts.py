"""Fonts of rendered text: PDFium's built-in Latin faces, system fonts for other scripts, boxes for the rest.

Every face turns characters into codes, knows their widths, and writes its own PDF objects with a map back to
Unicode, so that the text layer of a rendered page is the text itself even where a glyph is missing.
"""

from __future__ import annotations

import ctypes
import struct
from functools import cache
from typing import Protocol

import pypdfium2 as helpers
import pypdfium2.raw as pdfium

from hydra_rag_indexing.files.truetype import TrueType, fallback_fonts

__all__ = ["BOLD", "CODE", "ITALIC", "REGULAR", "Face", "Fonts"]

REGULAR, BOLD, ITALIC, CODE = "Helvetica", "Helvetica-Bold", "Helvetica-Oblique", "Courier"
_BASE = (REGULAR, BOLD, ITALIC, CODE)
#: Windows-1252 has characters whose width PDFium can't tell by code point: these have another's width.
_TWINS = {"ƒ": "t", "ˆ": "`", "˜": "`", "‹": "(", "›": ")", "‰": "—", "Š": "S", "š": "s", "Ž": "Z", "ž": "z",
          "Ÿ": "Y", "†": "0", "‡": "0", "Œ": "—", "œ": "m"}  # fmt: skip


class Face(Protocol):
    """One PDF font: encodes characters to bytes and writes its objects."""

    def width(self, char: str) -> float:
        """Advance in 1/1000 of the font size."""
        ...

    def encode(self, text: str) -> bytes: ...

    def objects(self, first: int) -> list[bytes]:
        """Bodies of PDF objects numbered from ``first``; the font dictionary comes first."""
        ...


class LatinFace:
    """A standard face in Windows-1252; its outlines come with PDFium."""

    def __init__(self, name: str) -> None:
        self.name, self.widths = name, _widths(name)

    def width(self, char: str) -> float:
        return self.widths[char.encode("cp1252")[0]]

    def encode(self, text: str) -> bytes:
        return text.encode("cp1252")

    def objects(self, first: int) -> list[bytes]:
        widths = " ".join(f"{self.widths[code]:g}" for code in range(32, 256))
        return [
            f"<< /Type /Font /Subtype /Type1 /BaseFont /{self.name} /Encoding /WinAnsiEncoding "
            f"/FirstChar 32 /LastChar 255 /Widths [{widths}] >>".encode("ascii")
        ]


class EmbeddedFace:
    """A system font, embedded whole; codes are UTF-16 units, so only the basic plane."""

    def __init__(self, font: TrueType) -> None:
        self.font, self.used = font, set[int]()

    def width(self, char: str) -> float:
        return self.font.advance(ord(char))

    def encode(self, text: str) -> bytes:
        self.used.update(map(ord, text))
        return text.encode("utf-16-be")

    def objects(self, first: int) -> list[bytes]:
        glyphs = bytearray(2 * 0x10000)
        for code in self.used:
            struct.pack_into(">H", glyphs, 2 * code, self.font.glyphs[code])
        widths = " ".join(f"{code} [{self.font.advance(code):.0f}]" for code in sorted(self.used))
        head = "/Type /Font /BaseFont /Fallback"
        return [
            f"<< {head} /Subtype /Type0 /Encoding /Identity-H /DescendantFonts [{first + 1} 0 R] "
            f"/ToUnicode {first + 5} 0 R >>".encode("ascii"),
            f"<< {head} /Subtype /CIDFontType2 /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) "
            f"/Supplement 0 >> /FontDescriptor {first + 2} 0 R /CIDToGIDMap {first + 3} 0 R /DW 600 "
            f"/W [{widths}] >>".encode("ascii"),
            f"<< /Type /FontDescriptor /FontName /Fallback /Flags 4 /FontBBox [0 -300 1000 1000] "
            f"/ItalicAngle 0 /Ascent 900 /Descent -250 /CapHeight 700 /StemV 80 "
            f"/FontFile2 {first + 4} 0 R >>".encode("ascii"),
            _stream(bytes(glyphs)),
            _stream(self.font.data, f"/Length1 {len(self.font.data)}"),
            _stream(_to_unicode([(code, chr(code)) for code in sorted(self.used)], 2)),
        ]


class BoxFace:
    """An empty box for every character that no font has; at most 255 different ones a face."""

    def __init__(self, chars: str) -> None:
        self.codes = {char: index + 1 for index, char in enumerate(chars)}

    def width(self, char: str) -> float:
        return 600.0

    def encode(self, text: str) -> bytes:
        return bytes(self.codes[char] for char in text)

    def objects(self, first: int) -> list[bytes]:
        last = len(self.codes)
        names = " ".join(["/box"] * last)
        glyph = b"600 0 50 0 550 700 d1 50 0 500 700 re 90 40 420 620 re f*"
        return [
            f"<< /Type /Font /Subtype /Type3 /FontBBox [0 0 600 700] /FontMatrix [0.001 0 0 0.001 0 0] "
            f"/FirstChar 1 /LastChar {last} /Widths [{' '.join(['600'] * last)}] "
            f"/Encoding << /Type /Encoding /Differences [1 {names}] >> "
            f"/CharProcs << /box {first + 1} 0 R >> /Resources << >> /ToUnicode {first + 2} 0 R >>".encode(
                "ascii"
            ),
            _stream(glyph),
            _stream(_to_unicode([(code, char) for char, code in self.codes.items()], 1)),
        ]


class Fonts:
    """The faces of one rendered document. Build it with all of the document's characters.

    ``boxed``: those that no font has.
    """

    def __init__(self, characters: set[str]) -> None:
        self.base: dict[str, LatinFace] = {name: LatinFace(name) for name in _BASE}
        self.faces: list[Face] = list(self.base.values())
        self.other: dict[str, Face] = {}
        foreign = sorted(char for char in characters if not _latin(char))
        rest = foreign
        if foreign:
            for font in fallback_fonts({ord(char) for char in foreign if ord(char) < 0x10000}):
                face = EmbeddedFace(font)
                self.faces.append(face)
                mine = [char for char in rest if ord(char) < 0x10000 and ord(char) in font.glyphs]
                self.other.update(dict.fromkeys(mine, face))
                rest = [char for char in rest if char not in self.other]
        self.boxed = rest
        for start in range(0, len(rest), 255):
            box = BoxFace("".join(rest[start : start + 255]))
            self.faces.append(box)
            self.other.update(dict.fromkeys(rest[start : start + 255], box))

    def face(self, style: str, char: str) -> Face:
        return self.other.get(char) or self.base[style]

    def width(self, style: str, text: str) -> float:
        """Advance of ``text`` in 1/1000 of the font size."""
        base, other = self.base[style], self.other
        return sum((other.get(char) or base).width(char) for char in text)


def _latin(char: str) -> bool:
    try:
        return len(char.encode("cp1252")) == 1
    except UnicodeEncodeError:
        return False


@cache
def _widths(name: str) -> list[float]:
    document = helpers.PdfDocument.new()
    font = pdfium.FPDFText_LoadStandardFont(document, name.encode("ascii"))
    value = ctypes.c_float()

    def width(code: int) -> float:
        char = bytes([code]).decode("cp1252", "replace")
        pdfium.FPDFFont_GetGlyphWidth(font, ord(_TWINS.get(char, char)), 1000.0, value)
        return float(value.value) or 500.0

    widths = [width(code) for code in range(256)]
    pdfium.FPDFFont_Close(font)
    document.close()
    return widths


def _to_unicode(pairs: list[tuple[int, str]], size: int) -> bytes:
    """A ToUnicode map (PDF 1.7, 9.10.3) for codes of ``size`` bytes."""
    lines = [f"<{code:0{size * 2}x}> <{char.encode('utf-16-be').hex()}>" for code, char in pairs]
    blocks = [lines[start : start + 100] for start in range(0, len(lines), 100)]
    body = "\n".join(f"{len(block)} beginbfchar\n" + "\n".join(block) + "\nendbfchar" for block in blocks)
    space = f"<{'00' * size}> <{'ff' * size}>"
    return (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /Map def /CMapType 2 def\n"
        f"1 begincodespacerange {space} endcodespacerange\n{body}\nendcmap end end"
    ).encode("ascii")


def _stream(data: bytes, extra: str = "") -> bytes:
    return f"<< /Length {len(data)} {extra} >>\nstream\n".encode("ascii") + data + b"\nendstream"
