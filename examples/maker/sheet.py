"""A PDF being drawn: origin top-left, units points, and the box of every value that is asked about.

The box of a marked value runs from its first to its last advance width and from the font's ascent to its
descent, so that it holds the whole ink of the value and no neighbour.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import reportlab
from reportlab.lib.colors import HexColor
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

A4 = (595.28, 841.89)
SLIDE = (960.0, 540.0)
INK, GREY, PALE, RULE = "#1d2530", "#5d6b7a", "#eef2f6", "#c6d0da"
SANS, SANS_BOLD = "Helvetica", "Helvetica-Bold"
SERIF, SERIF_BOLD, SERIF_ITALIC = "Times-Roman", "Times-Bold", "Times-Italic"
TYPED = "Courier"
VERA, VERA_BOLD = "Vera", "VeraBd"
_UP, _DOWN = 0.78, 0.23

for _name in (VERA, VERA_BOLD):
    pdfmetrics.registerFont(TTFont(_name, str(Path(reportlab.__file__).parent / "fonts" / f"{_name}.ttf")))


@dataclass(frozen=True)
class Spot:
    """Where a marked value stands: page (1-based) and (left, top, right, bottom) in points."""

    page: int
    box: tuple[float, float, float, float]
    text: str


def width(text: str, font: str, size: float) -> float:
    return float(pdfmetrics.stringWidth(text, font, size))


class Sheet:
    """One document. ``mark=NAME`` on a drawing call remembers where that text stands."""

    def __init__(self, title: str, size: tuple[float, float] = A4, font: str = SANS) -> None:
        self.w, self.h = size
        self.font = font
        self.page = 1
        self.spots: dict[str, Spot] = {}
        self._buffer = BytesIO()
        self._pdf = Canvas(self._buffer, pagesize=size, invariant=1, pageCompression=1)
        self._pdf.setTitle(title)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float = 11,
        *,
        font: str | None = None,
        color: str = INK,
        align: str = "left",
        mark: str | None = None,
    ) -> float:
        """Draw with the baseline at ``y``; ``x`` is the left, middle or right. Returns the right edge."""
        font = font or self.font
        wide = width(text, font, size)
        x -= {"left": 0.0, "center": wide / 2, "right": wide}[align]
        self._pdf.setFont(font, size)
        self._pdf.setFillColor(HexColor(color))
        self._pdf.drawString(x, self.h - y, text)
        if mark:
            self.spots[mark] = Spot(self.page, (x, y - _UP * size, x + wide, y + _DOWN * size), text)
        return x + wide

    def pair(
        self,
        x: float,
        y: float,
        label: str,
        value: str,
        gap: float,
        size: float = 11,
        *,
        mark: str | None = None,
    ) -> None:
        """A grey label and its value ``gap`` points to the right."""
        self.text(x, y, label, size, color=GREY)
        self.text(x + gap, y, value, size, mark=mark)

    def paragraph(
        self,
        x: float,
        y: float,
        parts: Iterable[str | tuple[str, str]],
        wide: float,
        size: float = 11,
        *,
        leading: float = 1.4,
        font: str | None = None,
        color: str = INK,
    ) -> float:
        """Running text; a part ``(value, mark)`` is kept on one line. Returns the next baseline."""
        font = font or self.font
        space = width(" ", font, size)
        items: list[tuple[str, str | None]] = []
        for part in parts:
            items += [(part[0], part[1])] if isinstance(part, tuple) else [(w, None) for w in part.split()]
        at = x
        for token, mark in items:
            glued = token[:1] in ".,;:)" and mark is None
            if at > x:
                at -= space if glued else 0
                if at + width(token, font, size) > x + wide and not glued:
                    at, y = x, y + size * leading
            at = self.text(at, y, token, size, font=font, color=color, mark=mark) + space
        return y + size * leading

    def rect(
        self,
        x: float,
        y: float,
        w: float,
        h: float,
        *,
        fill: str | None = None,
        line: str | None = None,
        thick: float = 0.8,
        round_: float = 0,
    ) -> None:
        self._style(fill, line, thick)
        self._pdf.roundRect(x, self.h - y - h, w, h, round_, stroke=int(bool(line)), fill=int(bool(fill)))

    def circle(
        self,
        x: float,
        y: float,
        r: float,
        *,
        fill: str | None = None,
        line: str | None = None,
        thick: float = 0.8,
    ) -> None:
        self._style(fill, line, thick)
        self._pdf.circle(x, self.h - y, r, stroke=int(bool(line)), fill=int(bool(fill)))

    def line(
        self, x1: float, y1: float, x2: float, y2: float, *, color: str = RULE, thick: float = 0.8
    ) -> None:
        self._style(None, color, thick)
        self._pdf.line(x1, self.h - y1, x2, self.h - y2)

    def path(
        self,
        points: list[tuple[float, float]],
        *,
        fill: str | None = None,
        line: str | None = None,
        thick: float = 0.8,
        closed: bool = True,
    ) -> None:
        self._style(fill, line, thick)
        path = self._pdf.beginPath()
        path.moveTo(points[0][0], self.h - points[0][1])
        for px, py in points[1:]:
            path.lineTo(px, self.h - py)
        if closed:
            path.close()
        self._pdf.drawPath(path, stroke=int(bool(line)), fill=int(bool(fill)))

    def next_page(self) -> None:
        self._pdf.showPage()
        self.page += 1

    def finish(self) -> bytes:
        """The PDF file; the same calls give the same bytes."""
        self._pdf.showPage()
        self._pdf.save()
        return self._buffer.getvalue()

    def _style(self, fill: str | None, line: str | None, thick: float) -> None:
        if fill:
            self._pdf.setFillColor(HexColor(fill))
        if line:
            self._pdf.setStrokeColor(HexColor(line))
            self._pdf.setLineWidth(thick)
