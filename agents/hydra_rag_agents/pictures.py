"""Draw what was looked at: heat map, numbered boxes, a caption. Pillow and numpy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from hydra_rag.geometry import Box

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

    from hydra_rag.saliency.maps import SaliencyMap

__all__ = ["Caption", "Cells", "card", "heat_overlay", "map_cells", "page_picture", "zoom_crop"]

#: How much each box of a page matters (0 to 1) [n], and the boxes [n, 4].
Cells: TypeAlias = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]

_INK = (24, 28, 38)
_MUTED = (104, 112, 128)
_PAPER = (246, 247, 250)
_ACCENT = (220, 38, 73)
_GAZE = (70, 40, 140)
# Anchors of the heat colours, from cold to hot (transparent to opaque).
_STOPS = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
_COLOURS = np.array([(70, 40, 140), (150, 40, 150), (225, 70, 95), (250, 145, 45), (255, 225, 90)], float)


@dataclass(frozen=True, slots=True)
class Caption:
    question: str
    answer: str
    place: str
    confidence: float | None


def heat_overlay(
    page: Image.Image, strength: npt.NDArray[np.float32], boxes: npt.NDArray[np.int64], opacity: float = 0.62
) -> Image.Image:
    """``page`` under a translucent map. ``strength`` [n]: 0 to 1 per box; ``boxes`` [n, 4]: page pixels.

    Cold cells stay clear, so that the page can be read; the cells' steps are smoothed out.
    """
    from PIL import Image, ImageFilter

    width, height = page.size
    step = 4  # the map is smooth: a quarter of the page's resolution shows the same
    small = np.zeros((max(1, height // step), max(1, width // step)), np.float32)
    for value, (left, top, right, bottom) in zip(strength, boxes // step, strict=True):
        part = small[top : max(bottom, top + 1), left : max(right, left + 1)]
        np.maximum(part, value, out=part)
    cell = float(np.median(boxes[:, 3] - boxes[:, 1])) / step if len(boxes) else 4.0
    peak = float(small.max())
    grey = Image.fromarray((small / peak * 255 if peak > 0 else small).astype(np.uint8))
    grey = grey.filter(ImageFilter.GaussianBlur(cell * 0.55)).resize(page.size, Image.Resampling.BICUBIC)
    heat = np.asarray(grey, np.float32) / 255
    heat /= max(1e-6, float(heat.max()))
    colours = np.stack([np.interp(heat, _STOPS, _COLOURS[:, c]) for c in range(3)], axis=-1)
    alpha = (np.clip((heat - 0.12) / 0.88, 0, 1) ** 0.8 * opacity)[..., None]
    base = np.asarray(page.convert("RGB"), np.float32)
    # Multiply keeps dark print dark under the colour.
    mixed = base * (1 - alpha) + alpha * (0.35 * colours + 0.65 * base * colours / 255)
    return Image.fromarray(mixed.clip(0, 255).astype(np.uint8))


def map_cells(found: SaliencyMap, size: tuple[int, int]) -> Cells:
    """A map as :func:`heat_overlay` draws it: (0 to 1 per cell [n], cells as boxes [n, 4] in page pixels)."""
    strength = found.values / found.values.max()
    return strength.astype(np.float32), np.array(found.grid.boxes(*size), np.int64)


def page_picture(page: Image.Image, boxes: Sequence[Box], gazes: Sequence[Box] = ()) -> Image.Image:
    """``page`` with a numbered frame round every box, and a thin one round everything gazed at."""
    from PIL import Image, ImageDraw

    scale = max(1.0, page.width / 900)
    canvas = page.convert("RGB").copy()
    tint = Image.new("RGBA", canvas.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(tint)
    for box in gazes:
        edge = box.clip(*canvas.size)
        draw.rectangle(
            (edge.left, edge.top, edge.right - 1, edge.bottom - 1),
            outline=(*_GAZE, 255),
            width=max(2, round(2 * scale)),
        )
    for number, box in enumerate(boxes, start=1):
        frame = box.pad(round(6 * scale)).clip(*canvas.size)
        draw.rounded_rectangle(
            (frame.left, frame.top, frame.right - 1, frame.bottom - 1),
            radius=round(7 * scale),
            outline=(*_ACCENT, 255),
            width=max(2, round(3 * scale)),
            fill=(*_ACCENT, 18),
        )
        _badge(draw, str(number), frame, canvas.size, scale)
    canvas.paste(tint, (0, 0), tint)
    return canvas


def _badge(draw: ImageDraw.ImageDraw, text: str, frame: Box, size: tuple[int, int], scale: float) -> None:
    radius = round(11 * scale)
    # On the corner, mostly outside: the evidence and its line stay readable.
    x = min(max(radius, frame.left - radius // 3), size[0] - radius)
    y = min(max(radius, frame.top - radius // 2), size[1] - radius)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(*_ACCENT, 255))
    draw.text((x, y), text, font=_font(round(14 * scale)), fill=(255, 255, 255, 255), anchor="mm")


def zoom_crop(page: Image.Image, box: Box, *, width: int = 520) -> Image.Image:
    """The surroundings of ``box``, enlarged to ``width`` pixels."""
    from PIL import Image

    around = box.pad(max(140, box.width // 3), max(36, box.height)).clip(*page.size)
    part = page.convert("RGB").crop(around)
    factor = min(3.0, width / max(1, part.width))
    return part.resize(
        (max(1, round(part.width * factor)), max(1, round(part.height * factor))), Image.Resampling.LANCZOS
    )


def card(page: Image.Image, crop: Image.Image | None, caption: Caption, *, height: int = 1100) -> Image.Image:
    """One picture that tells the whole story: the page, the question, the answer, where it stands."""
    from PIL import Image, ImageDraw

    margin, side = 44, 560
    factor = min(height / page.height, 900 / page.width)
    shown = page.resize((round(page.width * factor), round(page.height * factor)), Image.Resampling.LANCZOS)
    canvas = Image.new("RGB", (shown.width + side + 3 * margin, max(shown.height, 640) + 2 * margin), _PAPER)
    draw = ImageDraw.Draw(canvas)
    left = margin
    draw.rectangle(
        (left - 2, margin - 2, left + shown.width + 1, margin + shown.height + 1), fill=(214, 218, 226)
    )
    canvas.paste(shown, (left, margin))
    x, y = left + shown.width + margin, margin + 8
    y = _label(draw, x, y, "QUESTION")
    y = _block(draw, x, y, caption.question, _font(27), _INK, side) + 28
    y = _label(draw, x, y, "ANSWER")
    y = _block(draw, x, y, caption.answer, _font(40 if len(caption.answer) <= 60 else 26), _ACCENT, side) + 28
    if caption.place:
        y = _label(draw, x, y, "EVIDENCE")
        y = _block(draw, x, y, caption.place, _font(22), _INK, side) + 10
    if caption.confidence is not None:
        y = _block(draw, x, y, f"confidence {caption.confidence:.2f}", _font(18), _MUTED, side) + 24
    if crop is not None:
        room = canvas.height - margin - y
        factor = min(1.0, side / crop.width, max(40, room) / crop.height)
        small = crop.resize(
            (max(1, round(crop.width * factor)), max(1, round(crop.height * factor))),
            Image.Resampling.LANCZOS,
        )
        draw.rectangle((x - 2, y - 2, x + small.width + 1, y + small.height + 1), fill=(214, 218, 226))
        canvas.paste(small, (x, y))
    return canvas


def _label(draw: ImageDraw.ImageDraw, x: int, y: int, text: str) -> int:
    draw.text((x, y), text, font=_font(15), fill=_MUTED)
    return y + 26


def _block(
    draw: ImageDraw.ImageDraw,
    x: int,
    y: int,
    text: str,
    font: ImageFont.FreeTypeFont,
    colour: tuple[int, int, int],
    width: int,
    most: int = 8,
) -> int:
    """Wrapped text; returns the y below it."""
    lines: list[str] = []
    for word in _words(draw, text, font, width):
        if lines and draw.textlength(f"{lines[-1]} {word}", font=font) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    if len(lines) > most:
        lines = [*lines[: most - 1], lines[most - 1] + " …"]
    step = round(font.size * 1.3)
    for line in lines:
        draw.text((x, y), line, font=font, fill=colour)
        y += step
    return y


def _words(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Words, the ones wider than the column cut."""
    words: list[str] = []
    for word in text.split():
        while len(word) > 1 and draw.textlength(word, font=font) > width:
            fits = next(
                n
                for n in range(len(word) - 1, 0, -1)
                if draw.textlength(word[:n], font=font) <= width or n == 1
            )
            words.append(word[:fits])
            word = word[fits:]
        words.append(word)
    return words


def _font(size: int) -> ImageFont.FreeTypeFont:
    from PIL import ImageFont

    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow without FreeType"
    return font
