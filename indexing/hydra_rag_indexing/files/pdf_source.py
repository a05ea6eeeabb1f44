"""Pages of a PDF through PDFium. Runs in the parser process only: PDFium is neither safe in threads nor
interruptible."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import pypdfium2 as helpers
import pypdfium2.raw as pdfium

from hydra_rag_indexing.files.limits import Limits
from hydra_rag_indexing.files.pdf_text import page_words
from hydra_rag_indexing.files.wire import Picture, Refused

__all__ = ["MIN_SIDE", "PdfSource"]

#: Shortest side of a stored page in pixels; vision towers can't take less.
MIN_SIDE = 28
_FLAGS = pdfium.FPDF_ANNOT | pdfium.FPDF_REVERSE_BYTE_ORDER
_MARKER = b"startxref"


class PdfSource:
    """An open PDF. ``page(n)`` is the page as a viewer shows it: crop box, rotation, annotations and filled
    form fields, on white."""

    def __init__(self, data: bytes, limits: Limits, dpi: float) -> None:
        self.limits, self.dpi = limits, dpi
        _refuse_cut_off(data)
        try:
            self.document = helpers.PdfDocument(data)
        except helpers.PdfiumError as error:
            raise _refusal(error) from None
        # Form fields are drawn only where a form environment exists before the first page is loaded.
        self.document.init_forms()
        self.pages = len(self.document)
        if self.pages > limits.pages:
            raise Refused(
                "too_many_pages",
                f"the PDF has {self.pages} pages and the limit is {limits.pages}; "
                "split it or raise the limit",
            )

    def page(self, number: int) -> Picture:
        page = self._load(number)
        width, height, scale = self._geometry(page, number)
        picture = self._draw(page, width, height, (0, 0, width, height))
        picture.dpi = scale * 72
        picture.label = self.document.get_page_label(number - 1) or None
        picture.words = page_words(page.raw, width, height, self.limits.page_words)
        page.close()
        return picture

    def region(self, number: int, box: tuple[int, int, int, int], scale: float) -> Picture:
        page = self._load(number)
        width, height, base = self._geometry(page, number)
        left, top, right, bottom = box
        scale = min(scale, math.sqrt(self.limits.page_pixels / ((right - left) * (bottom - top))))
        window = tuple(round(value * scale) for value in box)
        picture = self._draw(page, round(width * scale), round(height * scale), window)
        picture.dpi = base * 72 * scale
        page.close()
        return picture

    def _load(self, number: int) -> Any:
        try:
            page = self.document[number - 1]
            # Annotations and form fields become page content, so their text is in the text layer too.
            if (
                pdfium.FPDFPage_GetAnnotCount(page) > 0
                and pdfium.FPDFPage_Flatten(page, pdfium.FLAT_NORMALDISPLAY) == pdfium.FLATTEN_SUCCESS
            ):
                page.close()
                page = self.document[number - 1]
        except helpers.PdfiumError:
            raise Refused(
                "broken", f"page {number} of the PDF is damaged; repair the file (print it to PDF again)"
            ) from None
        return page

    def _geometry(self, page: Any, number: int) -> tuple[int, int, float]:
        """Width and height of the stored picture in pixels and pixels per point."""
        wide, high = page.get_width(), page.get_height()
        if not (math.isfinite(wide) and math.isfinite(high) and wide > 0 and high > 0):
            raise Refused("broken", f"page {number} of the PDF has no size; repair the file")
        if max(wide, high) / min(wide, high) > self.limits.aspect_ratio:
            raise Refused(
                "too_large", f"page {number} of the PDF is {wide:.0f} x {high:.0f} points; crop the page"
            )
        scale = max(self.dpi / 72, MIN_SIDE / min(wide, high))
        scale = min(scale, math.sqrt(self.limits.page_pixels / (wide * high)))
        return max(1, round(wide * scale)), max(1, round(high * scale)), scale

    def _draw(self, page: Any, width: int, height: int, window: tuple[int, ...]) -> Picture:
        """The part ``window`` of the page drawn ``width`` x ``height`` pixels large."""
        left, top, right, bottom = window
        across, down = max(1, right - left), max(1, bottom - top)
        stride = (across * 3 + 3) // 4 * 4
        pixels = (ctypes.c_uint8 * (stride * down))()
        bitmap = pdfium.FPDFBitmap_CreateEx(across, down, pdfium.FPDFBitmap_BGR, pixels, stride)
        if not bitmap:
            raise MemoryError
        try:
            pdfium.FPDFBitmap_FillRect(bitmap, 0, 0, across, down, 0xFFFFFFFF)
            place = (-left, -top, width, height, 0, _FLAGS)
            pdfium.FPDF_RenderPageBitmap(bitmap, page, *place)
            if self.document.formenv:
                pdfium.FPDF_FFLDraw(self.document.formenv, bitmap, page, *place)
        finally:
            pdfium.FPDFBitmap_Destroy(bitmap)
        return Picture(across, down, stride, memoryview(pixels).cast("B"))


def _refusal(error: helpers.PdfiumError) -> Refused:
    if error.err_code in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY):
        return Refused("encrypted", "the PDF is protected by a password; save a copy without one")
    if error.err_code == pdfium.FPDF_ERR_SUCCESS:
        return Refused("empty", "the PDF has no pages; export it again from its source")
    return Refused("broken", "the file is not a readable PDF; open it in a viewer and print it to PDF again")


def _refuse_cut_off(data: bytes) -> None:
    """A PDF that ends before its index is incomplete. PDFium would rebuild an index and silently show
    what is left, so pages could be lost without a word."""
    end = data.rfind(_MARKER)
    tail = data[end:] if end >= 0 else b""
    linear = data[:1024]
    if end < 0 or b" obj" in tail or (b"/Linearized" in linear and _linear_length(linear) > len(data)):
        raise Refused("broken", "the PDF is cut off or damaged at its end; get a complete copy of the file")


def _linear_length(head: bytes) -> int:
    """The file length that a linearized PDF states, 0 when it states none."""
    start = head.find(b"/L ", head.find(b"/Linearized"))
    digits = head[start + 3 : start + 15].split() if start >= 0 else []
    return int(digits[0]) if digits and digits[0].isdigit() else 0
