"""Words of a PDF page with their boxes, through PDFium's text page. Runs in the parser process only."""

from __future__ import annotations

import ctypes
import unicodedata
from collections.abc import Callable
from math import ceil, floor
from typing import Any

import pypdfium2.raw as pdfium

from hydra_rag_indexing.files.wire import Span

__all__ = ["Affine", "page_affine", "page_words"]

#: (a, b, c, d, e, f): x' = a·x + c·y + e, y' = b·x + d·y + f; PDF user space to pixels of the picture.
Affine = tuple[float, float, float, float, float, float]

#: PDFium marks the hyphen that ends a broken line with one of these and goes on with the next line.
_BREAKS = {0x02, 0xFFFE}
_SOFT_HYPHEN = 0xAD
_JOINERS = {0x200C, 0x200D}
#: Signs to combining marks: TeX's older fonts draw an accent by itself, over the letter that follows it.
_ACCENTS = {
    "\u00a8": "\u0308",
    "\u00b4": "\u0301",
    "`": "\u0300",
    "\u02c6": "\u0302",
    "\u02dc": "\u0303",
    "\u00af": "\u0304",
    "\u02d8": "\u0306",
    "\u02d9": "\u0307",
    "\u02da": "\u030a",
    "\u02dd": "\u030b",
    "\u02c7": "\u030c",
    "\u00b8": "\u0327",
}
_PROBE = 1000.0
_FINE = 256


def page_affine(page: Any, width: int, height: int) -> Affine:
    """Where PDFium draws a point of user space: rotation, crop box and box origin included.

    Asked of PDFium itself on an enlarged canvas (it answers in whole pixels), so the text layer can't
    disagree with the drawing.
    """

    def at(x: float, y: float) -> tuple[float, float]:
        px, py = ctypes.c_int(), ctypes.c_int()
        pdfium.FPDF_PageToDevice(page, 0, 0, width * _FINE, height * _FINE, 0, x, y, px, py)
        return px.value / _FINE, py.value / _FINE

    (e, f), (ax, ay), (cx, cy) = at(0, 0), at(_PROBE, 0), at(0, _PROBE)
    return (ax - e) / _PROBE, (ay - f) / _PROBE, (cx - e) / _PROBE, (cy - f) / _PROBE, e, f


class _Boxes:
    """Tight glyph boxes in pixels; the font's own line box where a glyph has no outline."""

    def __init__(self, text: Any, affine: Affine) -> None:
        self.text, self.affine = text, affine
        self.left, self.right, self.bottom, self.top = (ctypes.c_double() for _ in range(4))
        self.loose = pdfium.FS_RECTF()

    def __call__(self, index: int) -> tuple[float, float, float, float] | None:
        if pdfium.FPDFText_GetCharBox(self.text, index, self.left, self.right, self.bottom, self.top):
            x0, x1, y0, y1 = self.left.value, self.right.value, self.bottom.value, self.top.value
            if x1 > x0 and y1 > y0:
                return self._device(x0, y0, x1, y1)
        if pdfium.FPDFText_GetLooseCharBox(self.text, index, self.loose):
            box = self.loose
            if box.right > box.left and box.top > box.bottom:
                return self._device(box.left, box.bottom, box.right, box.top)
        return None

    def _device(self, x0: float, y0: float, x1: float, y1: float) -> tuple[float, float, float, float]:
        a, b, c, d, e, f = self.affine
        xs = (a * x0 + c * y0 + e, a * x1 + c * y1 + e, a * x0 + c * y1 + e, a * x1 + c * y0 + e)
        ys = (b * x0 + d * y0 + f, b * x1 + d * y1 + f, b * x0 + d * y1 + f, b * x1 + d * y0 + f)
        return min(xs), min(ys), max(xs), max(ys)


def page_words(page: Any, width: int, height: int, limit: int) -> list[Span]:
    """At most ``limit`` words in reading order. Boxes are tight, integers, clipped to the picture; words
    whose middle lies outside the picture (cropped away) are left out."""
    text = pdfium.FPDFText_LoadPage(page)
    if not text:
        return []
    try:
        return _collect(text, page_affine(page, width, height), width, height, limit)
    finally:
        pdfium.FPDFText_ClosePage(text)


def _collect(text: Any, affine: Affine, width: int, height: int, limit: int) -> list[Span]:
    boxes = _Boxes(text, affine)
    unicode_at: Callable[[Any, int], int] = pdfium.FPDFText_GetUnicode
    words: list[Span] = []
    chars: list[str] = []
    x0 = y0 = x1 = y1 = 0.0
    before = (0.0, 0.0, 0.0, 0.0)  # the box of the character before
    high = 0

    def finish() -> None:
        nonlocal chars
        word = _clean("".join(chars))
        chars = []
        if not word or not 0 <= (x0 + x1) / 2 < width or not 0 <= (y0 + y1) / 2 < height:
            return
        left, top = max(0, floor(x0 + 1e-3)), max(0, floor(y0 + 1e-3))
        right, bottom = min(width, ceil(x1 - 1e-3)), min(height, ceil(y1 - 1e-3))
        words.append((word, left, top, max(left + 1, right), max(top + 1, bottom)))

    for index in range(max(0, pdfium.FPDFText_CountChars(text))):
        code = unicode_at(text, index)
        if 0xD800 <= code < 0xDC00:
            high = code
            continue
        if 0xDC00 <= code < 0xE000:
            code = 0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00) if high else 0
        high = 0
        if code in _BREAKS or code == _SOFT_HYPHEN:
            char = "-"
        elif code == 0 or code > 0x10FFFF:
            continue
        else:
            char = chr(code)
            if char.isspace() or (code < 0x20) or code in (0x200B, 0xFEFF):
                if chars:
                    finish()
                    if len(words) >= limit:
                        return words
                continue
        box = boxes(index)
        if box is None:
            if chars and (code in _JOINERS or unicodedata.combining(char) or char == "-"):
                chars.append(char)
        else:
            if not chars:
                x0, y0, x1, y1 = box
            elif chars[-1] in _ACCENTS and _over(before, box):
                char = _accented(chars.pop(), char)
            elif char in _ACCENTS and _over(box, before):
                char = _accented(char, chars.pop(), after=True)
            x0, y0, x1, y1 = min(x0, box[0]), min(y0, box[1]), max(x1, box[2]), max(y1, box[3])
            chars.append(char)
            before = box
        if code in _BREAKS and chars:
            finish()
    if chars:
        finish()
    return words


def _over(accent: tuple[float, ...], letter: tuple[float, ...]) -> bool:
    return letter[0] <= (accent[0] + accent[2]) / 2 <= letter[2]


def _accented(accent: str, letter: str, *, after: bool = False) -> str:
    """One letter where Unicode has it, else both in the order in which they stood."""
    base = {"\u0131": "i", "\u0237": "j"}.get(letter, letter)
    whole = unicodedata.normalize("NFC", base + _ACCENTS[accent])
    if len(whole) == 1:
        return whole
    return letter + accent if after else accent + letter


def _clean(word: str) -> str:
    """NFC, presentation forms and ligatures spelled out, private-use and control characters removed."""
    if not word.isascii():
        word = "".join(
            unicodedata.normalize("NFKC", char)
            if "\ufb00" <= char <= "\ufdff" or "\ufe70" <= char <= "\ufefc"
            else char
            for char in word
        )
        word = unicodedata.normalize("NFC", word)
        word = "".join(char for char in word if unicodedata.category(char) not in ("Cc", "Co", "Cn", "Cs"))
    return word
