"""Laid-out pages to a PDF, so that rendered text goes the way of every other PDF."""

from __future__ import annotations

import unicodedata
from itertools import groupby

from hydra_rag_indexing.files.pdf_fonts import Fonts
from hydra_rag_indexing.files.typeset import HEIGHT, WIDTH, Page, Run

__all__ = ["write_pdf"]


def write_pdf(pages: list[Page], fonts: Fonts) -> bytes:
    """A PDF 1.7 file: one content stream a page, the document's fonts, an index table."""
    contents = [_content(page, fonts) for page in pages]
    bodies: list[bytes] = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b""]
    names = []
    for index, face in enumerate(fonts.faces):
        names.append(f"/F{index} {len(bodies) + 1} 0 R")
        bodies.extend(face.objects(len(bodies) + 1))
    bodies[2] = f"<< /Font << {' '.join(names)} >> >>".encode("ascii")
    kids = []
    for content in contents:
        number = len(bodies) + 1
        kids.append(f"{number} 0 R")
        bodies.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {WIDTH:g} {HEIGHT:g}] /Resources 3 0 R "
            f"/Contents {number + 1} 0 R >>".encode("ascii")
        )
        bodies.append(f"<< /Length {len(content)} >>\nstream\n".encode("ascii") + content + b"\nendstream")
    bodies[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>".encode("ascii")
    return _file(bodies)


def _file(bodies: list[bytes]) -> bytes:
    out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(bodies, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n".encode("ascii") + body + b"\nendobj\n"
    start = len(out)
    out += f"xref\n0 {len(bodies) + 1}\n0000000000 65535 f \n".encode("ascii")
    for offset in offsets:
        out += f"{offset:010d} 00000 n \n".encode("ascii")
    out += f"trailer << /Size {len(bodies) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode("ascii")
    return bytes(out)


def _content(page: Page, fonts: Fonts) -> bytes:
    out = bytearray()
    for left, bottom, width, height in page.lines:
        out += f"0.6 g {left:.2f} {bottom:.2f} {width:.2f} {height:.2f} re f\n".encode("ascii")
    out += b"0 g\n"
    for run in page.runs:
        out += _show(run, fonts)
    return bytes(out)


def _show(run: Run, fonts: Fonts) -> bytes:
    """One text object; the face changes inside it where characters need another."""
    out = bytearray(f"BT 1 0 0 1 {run.x:.2f} {run.y:.2f} Tm ".encode("ascii"))
    for face, chars in groupby(_visual(run.text), key=lambda char: fonts.face(run.style, char)):
        out += (
            f"/F{fonts.faces.index(face)} {run.size:g} Tf <{face.encode(''.join(chars)).hex()}> Tj ".encode(
                "ascii"
            )
        )
    return bytes(out + b"ET\n")


def _visual(text: str) -> str:
    """Right-to-left words in the order of drawing. A simple rule, not the whole Unicode algorithm: runs of
    right-to-left characters, with the spaces and marks between them, are mirrored as one."""
    if text.isascii() or not any(unicodedata.bidirectional(char) in ("R", "AL") for char in text):
        return text
    out: list[str] = []
    run: list[str] = []
    for char in text + "\0":
        kind = unicodedata.bidirectional(char)
        if kind in ("R", "AL") or (run and kind in ("WS", "NSM", "CS", "ON")):
            run.append(char)
            continue
        tail: list[str] = []
        while run and unicodedata.bidirectional(run[-1]) in ("WS", "CS", "ON"):
            tail.insert(0, run.pop())
        out += run[::-1] + tail
        run = []
        out.append(char)
    return "".join(out[:-1])
