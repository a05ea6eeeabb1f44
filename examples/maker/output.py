"""From drawn sheets to files: PDFs as they are, pictures rendered, forms scanned; boxes in page pixels."""

from __future__ import annotations

import math
import random
from io import BytesIO
from typing import Any

import numpy as np
import pypdfium2 as pdfium
from PIL import Image, ImageFilter

from maker.facts import Document

PDF_DPI, PICTURE_DPI, SCAN_DPI = 144, 96, 150


def render(pdf: bytes, dpi: int, page: int = 0) -> Image.Image:
    document = pdfium.PdfDocument(pdf)
    try:
        return document[page].render(scale=dpi / 72).to_pil().convert("RGB")
    finally:
        document.close()


def write(document: Document, seed: int) -> tuple[bytes, dict[str, list[int]]]:
    """The file's bytes and the box of every mark, in pixels of the stored page image."""
    pdf = document.sheet.finish()
    spots = document.sheet.spots
    if document.kind == "pdf":
        return pdf, {mark: _box(spot.box, PDF_DPI / 72) for mark, spot in spots.items()}
    buffer = BytesIO()
    if document.kind == "png":
        scale = 4 / 3
        picture = render(pdf, PICTURE_DPI)
        picture.quantize(128, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
        return buffer.getvalue(), {mark: _box(spot.box, scale) for mark, spot in spots.items()}
    scale = SCAN_DPI / 72
    picture, turn = scan(render(pdf, SCAN_DPI), random.Random(f"{seed}:scanner"))
    picture.save(buffer, "JPEG", quality=72, optimize=True, dpi=(SCAN_DPI, SCAN_DPI))
    return buffer.getvalue(), {
        mark: _turned(_box(spot.box, scale), turn, picture.size) for mark, spot in spots.items()
    }


def scan(page: Image.Image, rng: random.Random) -> tuple[Image.Image, float]:
    """Grey paper, a slight turn, uneven light, blur and specks. Returns the degrees turned (counter-clockwise)."""
    turn = rng.choice((-1, 1)) * rng.uniform(0.4, 0.9)
    grey = page.convert("L").rotate(turn, Image.Resampling.BICUBIC, fillcolor=255)
    grey = grey.filter(ImageFilter.GaussianBlur(0.55))
    pixels = np.asarray(grey, np.float32)
    high, wide = pixels.shape
    noise = np.random.default_rng(rng.randrange(2**32))
    light = np.linspace(rng.uniform(0.93, 0.97), rng.uniform(0.97, 1.0), wide, dtype=np.float32)[None]
    pixels = (pixels * 0.90 + 16) * light + noise.normal(0, 3.2, pixels.shape).astype(np.float32)
    for _ in range(60):
        x, y = noise.integers(0, wide), noise.integers(0, high)
        pixels[y : y + noise.integers(1, 3), x : x + noise.integers(1, 3)] -= noise.integers(30, 110)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), turn


def _box(points: tuple[float, float, float, float], scale: float) -> list[int]:
    left, top, right, bottom = (value * scale for value in points)
    return [math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)]


def _turned(box: list[int], degrees: float, size: tuple[int, int]) -> list[int]:
    """The upright box around ``box`` after the picture was turned about its middle."""
    middle_x, middle_y = size[0] / 2, size[1] / 2
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    corners: Any = [(box[i] - middle_x, box[j] - middle_y) for i in (0, 2) for j in (1, 3)]
    xs = [x * cosine + y * sine + middle_x for x, y in corners]
    ys = [y * cosine - x * sine + middle_y for x, y in corners]
    return [math.floor(min(xs)), math.floor(min(ys)), math.ceil(max(xs)), math.ceil(max(ys))]
