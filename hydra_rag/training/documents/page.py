"""What a made page is: picture, words, facts; and the style that its layout draws with."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from PIL import Image, ImageFont

from hydra_rag.geometry import Box
from hydra_rag.training.canvas import Canvas, Color, Run
from hydra_rag.training.fonts import Face, bold_of, draw_face
from hydra_rag.values import Word


@dataclass(frozen=True)
class Fact:
    """One thing a page says. ``questions`` ask for it in several ways; ``boxes`` hold the evidence."""

    questions: tuple[str, ...]
    answer: str
    boxes: tuple[Box, ...]
    kind: str


@dataclass
class MadePage:
    """``image`` RGB; ``words`` and ``facts`` with boxes in its pixels; ``labels``: label texts used on it."""

    image: Image.Image
    words: list[Word]
    facts: list[Fact]
    kind: str
    lines: list[str] = field(default_factory=list)
    labels: set[str] = field(default_factory=set)
    runs: list[Run] = field(default_factory=list)


@dataclass
class Style:
    """Fonts and colours of one page. ``size``: body text in pixels per em."""

    face: Face
    bold: Face
    size: int
    ink: Color
    accent: Color
    muted: Color

    def font(self, factor: float = 1.0, *, bold: bool = False) -> ImageFont.FreeTypeFont:
        return (self.bold if bold else self.face).at(max(8, round(self.size * factor)))


def draw_style(rng: random.Random, size: int, fonts: str = "train") -> Style:
    face = draw_face(rng, fonts, upright=rng.random() < 0.85)

    def dark(hi: int) -> Color:
        return rng.randint(0, hi), rng.randint(0, hi), rng.randint(0, hi)

    ink = (0, 0, 0) if rng.random() < 0.5 else dark(70)
    accents = (
        (20, 60, 130),
        (140, 20, 30),
        (10, 100, 70),
        (90, 40, 120),
        (180, 90, 0),
        (40, 40, 40),
        dark(140),
    )
    accent = rng.choice(accents)
    grey = rng.randint(60, 120)
    return Style(face, bold_of(face) if rng.random() < 0.8 else face, size, ink, accent, (grey, grey, grey))


@dataclass
class Sheet:
    """A canvas with margins and a cursor. Layouts add blocks from the top down."""

    canvas: Canvas
    style: Style
    rng: random.Random
    left: int
    right: int
    y: float
    facts: list[Fact] = field(default_factory=list)
    labels: set[str] = field(default_factory=set)

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def bottom(self) -> int:
        return self.canvas.height - self.left // 2 - 4

    def room(self, lines: float = 1.0) -> bool:
        """Whether ``lines`` more body lines fit."""
        return self.y + lines * self.line_height() <= self.bottom

    def line_height(self, factor: float = 1.0) -> float:
        font = self.style.font(factor)
        return sum(font.getmetrics()) * 1.08

    def put(self, x: float, text: str, *, factor: float = 1.0, bold: bool = False, fill: Color | None = None,
            y: float | None = None, align: str = "left") -> Run:  # fmt: skip
        """Draw one line at ``x`` (the right or middle edge with ``align``) without moving the cursor."""
        font = self.style.font(factor, bold=bold)
        if align != "left":
            x -= font.getlength(text) * (1.0 if align == "right" else 0.5)
        return self.canvas.text(x, self.y if y is None else y, text, font, fill or self.style.ink)

    def length(self, text: str, *, factor: float = 1.0, bold: bool = False) -> float:
        return float(self.style.font(factor, bold=bold).getlength(text))

    def down(self, lines: float = 1.0, factor: float = 1.0) -> None:
        self.y += lines * self.line_height(factor)

    def rule(
        self, *, width: int = 1, fill: Color | None = None, x0: float | None = None, x1: float | None = None
    ) -> None:
        x0 = self.left if x0 is None else x0
        x1 = self.right if x1 is None else x1
        self.canvas.draw.line((x0, self.y, x1, self.y), fill=fill or self.style.muted, width=width)

    def paragraph(
        self, text: str, *, width: float | None = None, x: float | None = None, factor: float = 1.0
    ) -> list[Run]:
        """Wrapped text; moves the cursor below it. Stops at the foot of the page."""
        x = self.left if x is None else x
        limit = self.width if width is None else width
        runs: list[Run] = []
        current = ""
        for token in [*text.split(), ""]:
            trial = f"{current} {token}".strip()
            if token and self.length(trial, factor=factor) <= limit:
                current = trial
                continue
            if current and self.room():
                runs.append(self.put(x, current, factor=factor))
                self.down(1, factor)
            current = token
        return runs

    def fact(self, questions: list[str], answer: str, boxes: list[Box], kind: str) -> None:
        size = (self.canvas.width, self.canvas.height)
        inside = [b for b in boxes if b.left < size[0] and b.top < size[1] and b.right <= size[0] + 2]
        if inside:
            self.facts.append(
                Fact(tuple(dict.fromkeys(questions)), answer, tuple(b.clip(*size) for b in inside), kind)
            )


def find_boxes(runs: list[Run], phrase: str) -> list[Box]:
    """Boxes of ``phrase`` in wrapped lines (it may break across two), or [] where it is not drawn."""
    for i, run in enumerate(runs):
        at = run.text.find(phrase)
        if at >= 0:
            return [run.span_box(at, at + len(phrase))]
        if i + 1 < len(runs):
            joined = run.text + " " + runs[i + 1].text
            at = joined.find(phrase)
            if 0 <= at < len(run.text):
                rest = at + len(phrase) - len(run.text) - 1
                return [run.span_box(at, len(run.text)), runs[i + 1].span_box(0, max(1, rest))]
    return []
