"""Small files made by hand for the tests: PDFs byte by byte, so that boxes and text are known exactly."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

HELVETICA = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"


@dataclass(frozen=True)
class Leaf:
    """One page: content stream and the entries of its dictionary."""

    content: bytes
    media: tuple[float, float, float, float] = (0, 0, 300, 200)
    crop: tuple[float, float, float, float] | None = None
    rotate: int = 0
    extra: bytes = b""


def show(text: str, x: float, y: float, size: float = 20) -> bytes:
    """Operators that draw Latin text with its baseline at (x, y)."""
    escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)").encode("cp1252")
    return b"BT /F1 %g Tf %g %g Td (%s) Tj ET\n" % (size, x, y, escaped)


def stream(data: bytes, extra: bytes = b"") -> bytes:
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), extra, data)


def make_pdf(leaves: Sequence[Leaf], *, font: Sequence[bytes] = (HELVETICA,), catalog: bytes = b"") -> bytes:
    """A PDF of ``leaves``. ``font`` is the font F1 and the objects that follow it (numbered from 3)."""
    bodies = [b"", b"", *font]
    kids = []
    for leaf in leaves:
        number = len(bodies) + 1
        kids.append(b"%d 0 R" % number)
        crop = b"/CropBox [%g %g %g %g]" % leaf.crop if leaf.crop else b""
        bodies.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [%g %g %g %g] %s /Rotate %d /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> %s >>"
            % (*leaf.media, crop, leaf.rotate, number + 1, leaf.extra)
        )
        bodies.append(stream(leaf.content))
    bodies[0] = b"<< /Type /Catalog /Pages 2 0 R %s >>" % catalog
    bodies[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), len(kids))
    return assemble(bodies)


def assemble(bodies: Sequence[bytes]) -> bytes:
    """Header, objects 1.., index table, trailer with object 1 as its root."""
    out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(bodies, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    for offset in offsets:
        out += b"%010d 00000 n \n" % offset
    out += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(bodies) + 1, start)
    return bytes(out)


def block_font(units: Sequence[str]) -> list[bytes]:
    """A Type 3 font whose codes 1, 2, ... are black squares that stand for ``units`` in the text layer."""
    count = len(units)
    widths = b" ".join([b"700"] * count)
    names = b" ".join([b"/g"] * count)
    lines = b"\n".join(
        b"<%02x> <%s>" % (code, unit.encode("utf-16-be").hex().encode()) for code, unit in enumerate(units, 1)
    )
    cmap = (
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /M def /CMapType 2 def "
        b"1 begincodespacerange <00> <ff> endcodespacerange\n%d beginbfchar\n%s\nendbfchar endcmap end end"
        % (count, lines)
    )
    return [
        b"<< /Type /Font /Subtype /Type3 /FontBBox [0 0 700 700] /FontMatrix [0.001 0 0 0.001 0 0] "
        b"/FirstChar 1 /LastChar %d /Widths [%s] /Encoding << /Type /Encoding /Differences [1 %s] >> "
        b"/CharProcs << /g 4 0 R >> /Resources << >> /ToUnicode 5 0 R >>" % (count, widths, names),
        stream(b"700 0 50 0 650 700 d1 50 0 600 700 re f"),
        stream(cmap),
    ]


def simple_pdf(pages: int = 1, word: str = "page") -> bytes:
    """``pages`` pages; page n reads ``word`` n."""
    return make_pdf([Leaf(show(f"{word} {number}", 40, 100)) for number in range(1, pages + 1)])


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header_bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be huge."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 64))
        + chunk(b"IEND", b"")
    )
