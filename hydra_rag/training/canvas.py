"""A page to draw on that remembers where every character went."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from hydra_rag.geometry import Box
from hydra_rag.values import Word

Color = tuple[int, int, int]


@dataclass
class Run:
    """One drawn line of text. ``edges``: x position of every character's left edge and of the end;
    ``top`` and ``bottom``: of the em box, in pixels."""

    text: str
    edges: npt.NDArray[np.float32]
    top: float
    bottom: float

    @property
    def box(self) -> Box:
        return Box(int(self.edges[0]), int(self.top), int(np.ceil(self.edges[-1])), int(np.ceil(self.bottom)))

    def span_box(self, start: int, end: int) -> Box:
        """Box of the characters ``start`` to ``end`` (exclusive)."""
        return Box(
            int(self.edges[start]), int(self.top), int(np.ceil(self.edges[end])), int(np.ceil(self.bottom))
        )


@dataclass
class Canvas:
    """An RGB image with the runs drawn on it, in drawing order."""

    width: int
    height: int
    paper: Color = (255, 255, 255)
    runs: list[Run] = field(default_factory=list)
    image: Image.Image = field(init=False)
    draw: ImageDraw.ImageDraw = field(init=False)

    def __post_init__(self) -> None:
        self.image = Image.new("RGB", (self.width, self.height), self.paper)
        self.draw = ImageDraw.Draw(self.image)

    def text(
        self, x: float, y: float, text: str, font: ImageFont.FreeTypeFont, fill: Color = (0, 0, 0)
    ) -> Run:
        """Draw one line with its em box's top-left corner at (x, y)."""
        self.draw.text((x, y), text, font=font, fill=fill)
        run = Run(text, x + char_edges(text, font), y + _ascent_gap(font), y + sum(font.getmetrics()))
        self.runs.append(run)
        return run

    def words(self) -> list[Word]:
        """Every drawn word with its box, clipped to the page."""
        found = []
        for run in self.runs:
            start = None
            for i, ch in enumerate(run.text + " "):
                if ch.isspace():
                    if start is not None:
                        found.append(
                            Word(run.text[start:i], run.span_box(start, i).clip(self.width, self.height))
                        )
                    start = None
                elif start is None:
                    start = i
        return found


_ADVANCES: dict[tuple[str, int], dict[str, float]] = {}


def char_edges(text: str, font: ImageFont.FreeTypeFont) -> npt.NDArray[np.float32]:
    """Left edge of every character and the end, relative to the start; kerning is spread over the line."""
    table = _ADVANCES.setdefault((str(font.path), int(font.size)), {})
    steps = np.zeros(len(text) + 1, np.float32)
    for i, ch in enumerate(text):
        advance = table.get(ch)
        if advance is None:
            advance = table[ch] = float(font.getlength(ch))
        steps[i + 1] = advance
    edges = np.cumsum(steps)
    if edges[-1] > 0:
        edges *= font.getlength(text) / edges[-1]
    return edges.astype(np.float32)


def _ascent_gap(font: ImageFont.FreeTypeFont) -> float:
    """Pixels between the top of the line box and the top of its capitals' usual place."""
    ascent, _ = font.getmetrics()
    return max(0.0, ascent - 0.80 * float(font.size))


def degrade(image: Image.Image, rng: random.Random, strength: float) -> Image.Image:
    """Make a clean rendering look printed, photographed or scanned; ``strength`` 0 to 1. Geometry stays."""
    if strength <= 0:
        return image
    if rng.random() < 0.25 * strength:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.8) * strength))
    if rng.random() < 0.25 * strength:
        scale = rng.uniform(0.7, 0.95)
        small = image.resize(
            (max(1, int(image.width * scale)), max(1, int(image.height * scale))), Image.Resampling.BILINEAR
        )
        image = small.resize(image.size, Image.Resampling.BICUBIC)
    pixels: npt.NDArray[np.floating] = np.asarray(image, np.float32)
    noise = np.random.default_rng(rng.getrandbits(32))
    if rng.random() < 0.4 * strength:
        pixels = pixels + noise.normal(0, rng.uniform(1, 14) * strength, pixels.shape[:2])[..., None]
    if rng.random() < 0.4 * strength:
        low, high = rng.uniform(0, 50) * strength, 255 - rng.uniform(0, 50) * strength
        pixels = low + pixels * ((high - low) / 255)
    if rng.random() < 0.15 * strength:
        ramp = np.linspace(1, rng.uniform(0.75, 1), pixels.shape[1], dtype=np.float32)
        pixels = pixels * (ramp if rng.random() < 0.5 else ramp[::-1])[None, :, None]
    if rng.random() < 0.05 * strength:
        pixels = pixels.mean(2, keepdims=True).repeat(3, 2)
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    if rng.random() < 0.2 * strength:
        import io

        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=rng.randint(35, 90))
        image = Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")
    return image
