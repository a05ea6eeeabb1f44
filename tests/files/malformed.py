"""Hundreds of malformed and hostile files from fixed seeds.

``must_fail`` files can't be read honestly by anyone; of the others some happen to be readable after the
damage (a flipped bit in a picture), and then the whole file must come out, within its limits.
"""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from tests.files.makers import Leaf, assemble, encode, make_pdf, png_header_bomb, show, simple_pdf, stream


@dataclass(frozen=True)
class Bad:
    name: str
    data: bytes
    must_fail: bool = True


def good_files() -> dict[str, bytes]:
    picture = Image.effect_noise((60, 40), 80).convert("RGB")
    frames = [Image.effect_noise((30, 30), 60) for _ in range(3)]
    return {
        "doc.pdf": simple_pdf(6, "alpha beta"),
        "picture.png": encode(picture, "PNG"),
        "picture.jpg": encode(picture, "JPEG"),
        "picture.webp": encode(picture, "WEBP"),
        "picture.gif": encode(picture, "GIF"),
        "picture.bmp": encode(picture, "BMP"),
        "frames.tif": encode(frames[0], "TIFF", save_all=True, append_images=frames[1:]),
        "letter.docx": _zip({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<document/>"}),
    }


def malformed(seed: int = 0) -> list[Bad]:
    """More than 300 files, always the same for a seed."""
    rng = random.Random(seed)
    return [
        *_cut(rng),
        *_noise(rng),
        *_flips(rng),
        *_bad_pdfs(),
        *_bad_images(),
        *_bad_archives(),
        *_bad_text(),
    ]


def _cut(rng: random.Random) -> Iterator[Bad]:
    for name, data in good_files().items():
        stem, suffix = name.split(".")
        for index in range(12):
            keep = rng.randrange(1, int(len(data) * 0.8))
            yield Bad(f"cut-{stem}-{index}.{suffix}", data[:keep])
        # Without its beginning it is not that kind of file any more.
        for index in range(4):
            yield Bad(
                f"headless-{stem}-{index}.{suffix}",
                data[rng.randrange(20, len(data) // 2) :],
                must_fail=suffix != "pdf",
            )


def _noise(rng: random.Random) -> Iterator[Bad]:
    magic = {
        "pdf": b"%PDF-1.7\n",
        "png": b"\x89PNG\r\n\x1a\n",
        "jpg": b"\xff\xd8\xff\xe0",
        "tif": b"II*\0",
        "gif": b"GIF89a",
    }
    for index in range(40):
        suffix = rng.choice(["pdf", "png", "jpg", "tif", "gif", "bmp", "webp", "docx", "bin", "md", "txt"])
        head = magic.get(suffix, b"") if index % 2 else b"\0"
        yield Bad(f"noise-{index}.{suffix}", head + rng.randbytes(rng.randrange(50, 5000)))
    for suffix in ("pdf", "png", "docx", "txt"):
        yield Bad(f"empty.{suffix}", b"")
        yield Bad(f"zeros.{suffix}", b"\0" * 3000)


def _flips(rng: random.Random) -> Iterator[Bad]:
    for name, data in good_files().items():
        stem, suffix = name.split(".")
        for index in range(10):
            broken = bytearray(data)
            for _ in range(rng.choice([1, 8, 60])):
                broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
            yield Bad(f"flips-{stem}-{index}.{suffix}", bytes(broken), must_fail=False)
        for index in range(4):
            broken = bytearray(data)
            at = rng.randrange(len(broken) // 2)
            broken[at : at + len(broken) // 3] = rng.randbytes(len(broken) // 3)
            yield Bad(f"smear-{stem}-{index}.{suffix}", bytes(broken), must_fail=False)


def _bad_pdfs() -> Iterator[Bad]:
    catalog, leaf = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %s %s] >>",
    )
    tree = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
    yield Bad("no-pages.pdf", make_pdf([]))
    yield Bad("no-catalog.pdf", assemble([b"<< /Type /Nothing >>", tree]))
    yield Bad("header-only.pdf", b"%PDF-1.7\n%%EOF\n")
    yield Bad("kids-loop.pdf", assemble([catalog, b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>"]))
    yield Bad(
        "count-lies.pdf",
        assemble([catalog, b"<< /Type /Pages /Kids [3 0 R] /Count 9000 >>", leaf % (b"200", b"200")]),
    )
    yield Bad(
        "many-pages.pdf",
        assemble(
            [
                catalog,
                b"<< /Type /Pages /Count 50000 /Kids [" + b"3 0 R " * 50_000 + b"] >>",
                leaf % (b"99", b"99"),
            ]
        ),
    )
    yield Bad("narrow.pdf", assemble([catalog, tree, leaf % (b"595", b"2147483648")]))
    yield Bad("needle.pdf", assemble([catalog, tree, leaf % (b"5000", b"1")]))
    whole = simple_pdf(2)
    start = whole.rindex(b"startxref")
    yield Bad(
        "xref-loop.pdf",
        whole[:start].replace(b"/Root 1 0 R", b"/Root 1 0 R /Prev %d" % whole.index(b"xref\n0"))
        + whole[start:],
        must_fail=False,
    )
    yield Bad("xref-far.pdf", whole[:start] + b"startxref\n999999999999\n%%EOF\n", must_fail=False)
    yield Bad("no-startxref.pdf", whole[:start])
    yield Bad("updated-and-cut.pdf", whole + b"4 0 obj\n<< /Type /Page /Parent 2 0 R")
    yield Bad("deep-dictionary.pdf", assemble([b"<< /A " * 50_000 + b"1" + b" >>" * 50_000, tree]))
    yield Bad(
        "deep-array.pdf",
        assemble([catalog, b"<< /Type /Pages /Kids " + b"[" * 100_000 + b"]" * 100_000 + b" /Count 1 >>"]),
    )
    bomb = zlib.compress(zlib.compress(b"\0" * 50_000_000, 9), 9)
    filters = b"/Filter [/FlateDecode /FlateDecode]"
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Contents 4 0 R >>"
    yield Bad("inflate.pdf", assemble([catalog, tree, page, stream(bomb, filters)]), must_fail=False)
    form = stream(
        b"/X Do /X Do",
        b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 5 0 R >> >>",
    )
    named = b"/Resources << /XObject << /X 5 0 R >> >>"
    loop = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Contents 4 0 R %s >>" % named
    yield Bad("form-loop.pdf", assemble([catalog, tree, loop, stream(b"/X Do"), form]), must_fail=False)
    huge = (
        b"<< /Type /XObject /Subtype /Image /Width 200000 /Height 200000 /ColorSpace /DeviceRGB "
        b"/BitsPerComponent 8 /Filter /FlateDecode /Length 20 >>\nstream\n"
        + zlib.compress(b"x" * 9).ljust(20)
        + b"\nendstream"
    )
    yield Bad(
        "image-size.pdf",
        assemble([catalog, tree, loop, stream(b"99 0 0 99 0 0 cm /X Do"), huge]),
        must_fail=False,
    )
    yield Bad("poster.pdf", make_pdf([Leaf(show("x", 5, 5), (0, 0, 200_000, 200_000))]), must_fail=False)
    yield Bad("infinite-box.pdf", assemble([catalog, tree, leaf % (b"1e38", b"1e38")]), must_fail=False)


def _bad_images() -> Iterator[Bad]:
    for width, height in ((30_000, 30_000), (2**31 - 1, 2**31 - 1), (0, 10), (10, 0), (1, 900_000)):
        yield Bad(f"size-{width}x{height}.png", png_header_bomb(width, height))
    for width, height in ((30_000, -30_000), (2**31 - 1, 5), (0, 0)):
        head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
        yield Bad(
            f"size-{width}x{height}.bmp", b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + head + b"\0" * 40
        )
    yield Bad(
        "wide.gif",
        b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b",\0\0\0\0\xff\xff\xff\xff\0\x08\x01\0;",
    )
    # A chain of frames that goes round in a circle.
    entry = struct.pack("<HHHHI", 2, 256, 3, 1, 10) + struct.pack("<HHI", 257, 3, 1) + struct.pack("<I", 10)
    yield Bad("circle.tif", b"II*\0" + struct.pack("<I", 8) + entry + struct.pack("<I", 8))
    yield Bad("text-inside.png", b"\x89PNG\r\n\x1a\n" + b"hello " * 200)
    yield Bad("svg.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>")


def _bad_archives() -> Iterator[Bad]:
    types = {"[Content_Types].xml": b"<Types/>"}
    yield Bad("bomb.docx", _zip({**types, "word/document.xml": b"\0" * 60_000_000}))
    yield Bad("members.docx", _zip({**types, **{f"word/{n}.xml": b"" for n in range(10_500)}}))
    laughs = b"<!DOCTYPE a [<!ENTITY b 'xxxxxxxxxx'><!ENTITY c '&b;&b;&b;&b;&b;&b;&b;'>]><a>&c;</a>"
    yield Bad("entities.docx", _zip({**types, "word/document.xml": laughs}))
    remote = (
        b'<Relationships><Relationship Id="r" Type="http://x/relationships/image" '
        b'Target="http://127.0.0.1/x.png" TargetMode="External"/></Relationships>'
    )
    yield Bad(
        "remote.docx", _zip({**types, "word/document.xml": b"<d/>", "word/_rels/document.xml.rels": remote})
    )
    linked = (
        b'<d xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" xmlns:xlink="http://www.w3.org/1999/xlink">'
        b'<draw:image xlink:href="file:///etc/hostname"/></d>'
    )
    odt = {"mimetype": b"application/vnd.oasis.opendocument.text", "content.xml": linked}
    yield Bad("local.odt", _zip(odt))
    secret = b'<m xmlns:m="urn:x"><m:file-entry><m:encryption-data/></m:file-entry></m>'
    yield Bad("locked.odt", _zip({**odt, "content.xml": b"<d/>", "META-INF/manifest.xml": secret}))
    yield Bad("plain.zip", _zip({"a.txt": b"hello"}))
    yield Bad(
        "locked.docx",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le"),
    )
    yield Bad("other.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 3000)
    yield Bad("include.rtf", rb"{\rtf1 {\field{\*\fldinst INCLUDETEXT file:///etc/passwd}{\fldrslt x}}}")


def _bad_text() -> Iterator[Bad]:
    for suffix in ("pdf", "png", "jpg", "tiff", "docx", "xlsx", "heic"):
        yield Bad(f"renamed.{suffix}", b"This is only text, whatever the name says.\n" * 5)
    yield Bad("blank.md", b"\n\n   \n")
    yield Bad("program.exe", b"MZ\x90\0\x03\0\0\0" + bytes(range(256)) * 10)
    yield Bad("sound.mp3", b"ID3\x04\0\0\0\0\0\x0f" + bytes(range(256)) * 4)
    yield Bad("nested.md", b">" * 3000 + b" deep\n" + b"- " * 2000 + b"x\n", must_fail=False)
    yield Bad("nested.html", b"<div>" * 20_000 + b"x", must_fail=False)
    yield Bad("brackets.md", b"[" * 20_000 + b"](" * 20_000, must_fail=False)


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()
