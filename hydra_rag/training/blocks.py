"""Dense blocks of text for the vision stage, with the characters of every pixel patch and merged cell.

The label of a patch is the list of characters whose centres fall into it, top to bottom by line and
left to right; dense labels teach a small tower to read where end-to-end reading does not take off.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import ImageFont

from hydra_rag.nano.alphabet import ALPHABET
from hydra_rag.nano.build import CELL, PATCH
from hydra_rag.training.canvas import Canvas, Color, Run, degrade
from hydra_rag.training.fonts import draw_face
from hydra_rag.training.text_source import line

#: Class 0 is "no character here"; class i + 1 is ``ALPHABET[i]``. The line break is never drawn.
CLASS_OF = {ch: i + 1 for i, ch in enumerate(ALPHABET)}
CLASSES = len(ALPHABET) + 1
_SPACE = CLASS_OF[" "]
PATCH_SLOTS = 4
CELL_SLOTS = 10
_PLAIN = ALPHABET[:95].strip()
_ALL = ALPHABET.replace("\n", "").strip()


@dataclass(frozen=True)
class Recipe:
    """How wide the curriculum is at a point: ``width`` 0 (two fonts, one size) to 1 (everything).
    ``whole``: no line is cut by the edge of the block, so that there is no doubt about what it says."""

    width: float
    block: tuple[int, int] = (128, 256)  # height, width in pixels
    whole: bool = False


def draw_block(rng: random.Random, recipe: Recipe) -> Canvas:
    """A block filled with lines of text in one to three fonts and sizes."""
    w = recipe.width
    height, width = recipe.block
    dark = rng.random() < 0.12 * w

    def shade(low: float, high: float) -> Color:
        return int(rng.uniform(low, high)), int(rng.uniform(low, high)), int(rng.uniform(low, high))

    tint = rng.random() < 0.3 * w
    paper = shade(0, 90) if dark else shade(205, 255) if tint else (255, 255, 255)
    canvas = Canvas(width, height, paper)
    kind = "narrow" if w < 0.05 else "train"
    face = draw_face(rng, kind)
    size = _size(rng, w)
    y = rng.uniform(-6, 8)
    if recipe.whole:
        size = min(size, 22 if height < 48 else size)
        y = rng.uniform(0, max(0.5, 30 - 1.3 * size))
    alphabet = _ALL if w > 0.3 and rng.random() < 0.35 else _PLAIN
    while y < height - 6:
        if w > 0.2 and rng.random() < 0.3 * w:
            face, size = draw_face(rng, kind), _size(rng, w)
        ink = shade(150, 255) if dark else shade(0, 110) if rng.random() < 0.4 * w else (0, 0, 0)
        font = face.at(size)
        ascent, descent = font.getmetrics()
        if recipe.whole and y > 2 and y + ascent + descent > height + 1:
            break
        if rng.random() < 0.08 * w:
            band = shade(0, 120) if rng.random() < 0.5 else shade(190, 240)
            canvas.draw.rectangle((0, y, width, y + ascent + descent), fill=band)
            ink = (255, 255, 255) if sum(band) < 360 else (0, 0, 0)
        x = rng.uniform(2 if recipe.whole else -10, 12)
        while x < width - 4:
            text = line(rng, alphabet, rng.choice((4, 8, 14, 40)) if w > 0.1 else 40)
            if not text:
                continue
            if rng.random() < 0.06 * w:
                text = leader(rng, text, (width - x) / font.getlength("."))
            text = text[: max(1, int((width - x) / (0.25 * size)))]
            if recipe.whole:
                text = fitting(text, font, width - x - 2)
                if not text:
                    break
            run = canvas.text(x, y, text, font, ink)
            x = float(run.edges[-1]) + rng.uniform(0.5, 4.0) * size
            if rng.random() < 0.2:  # short lines: reading has to learn where to stop
                break
        if w > 0.1 and rng.random() < 0.15:
            rule_y = y + ascent + descent + rng.uniform(-1, 3)
            canvas.draw.line((0, rule_y, width, rule_y), fill=ink, width=rng.choice((1, 1, 2)))
        if w > 0.1 and rng.random() < 0.1:
            rule_x = rng.uniform(0, width)
            canvas.draw.line((rule_x, 0, rule_x, height), fill=ink, width=1)
        y += (ascent + descent) * rng.uniform(0.95, 1.0 + 0.6 * max(w, 0.2))
        if rng.random() < 0.08 * w:
            y += rng.uniform(0, 40)
    return canvas


def leader(rng: random.Random, text: str, room: float) -> str:
    """A label, a dotted line and a value, as in forms and lists of contents; ``room``: dots that fit."""
    label, value = text[: rng.randint(2, 16)].strip(), text[-rng.randint(1, 10) :].strip()
    dot = ". " if rng.random() < 0.15 else "."
    most = int(room / len(dot) - 2.2 * len(label + value))
    gap = rng.choice(("", "", " "))
    return f"{label}{gap}{dot * rng.randint(3, max(4, most))}{gap}{value}"


def fitting(text: str, font: ImageFont.FreeTypeFont, room: float) -> str:
    """The longest beginning of ``text`` that is at most ``room`` pixels wide."""
    while text and font.getlength(text) > room:
        text = text[:-1]
    return text.rstrip()


def _size(rng: random.Random, w: float) -> int:
    if w < 0.05:
        return rng.randint(20, 22)
    low, high = 20 - 9 * w, 22 + 22 * w
    r = rng.random()  # mostly what ten-point print comes to on a page shown whole
    return round(rng.uniform(low, min(high, 19 if r < 0.5 else 26 if r < 0.88 else high)))


def labels(runs: list[Run], rows: int, cols: int, side: int, slots: int) -> npt.NDArray[np.int16]:
    """Characters by square of ``side`` pixels: int16 [rows × cols, slots], 0 where there is none."""
    found: list[list[int]] = [[] for _ in range(rows * cols)]
    for run in sorted(runs, key=lambda r: (r.top + r.bottom, float(r.edges[0]))):
        row = int((run.top + run.bottom) / 2 // side)
        if not 0 <= row < rows:
            continue
        centres = ((run.edges[:-1] + run.edges[1:]) / 2 // side).astype(int)
        for ch, col in zip(run.text, centres.tolist(), strict=True):
            if 0 <= col < cols and (cls := CLASS_OF.get(ch)):
                found[row * cols + col].append(cls)
    out = np.zeros((rows * cols, slots), np.int16)
    for i, chars in enumerate(found):
        out[i, : len(chars)] = chars[:slots]
    return out


def row_classes(runs: list[Run], rows: int, width: int) -> list[list[int] | None]:
    """The text of every row of patches as classes, from left to right with a space between runs; ``None``
    where runs lie over each other, so that their order is nobody's guess."""
    found: list[list[tuple[float, float, list[int]]]] = [[] for _ in range(rows)]
    for run in runs:
        row = int((run.top + run.bottom) / 2 // PATCH)
        if not 0 <= row < rows:
            continue
        centres = ((run.edges[:-1] + run.edges[1:]) / 2).tolist()
        seen = [(c, CLASS_OF[ch]) for c, ch in zip(centres, run.text, strict=True)
                if 0 <= c < width and ch in CLASS_OF]  # fmt: skip
        if seen:
            found[row].append((seen[0][0], seen[-1][0], [cls for _, cls in seen]))
    return [_joined(sorted(parts)) for parts in found]


def _joined(parts: list[tuple[float, float, list[int]]]) -> list[int] | None:
    out: list[int] = []
    end = -1.0
    for first, last, classes in parts:
        if first < end:
            return None
        end = last
        for cls in [_SPACE, *classes]:
            if cls != _SPACE or (out and out[-1] != _SPACE):
                out.append(cls)
    while out and out[-1] == _SPACE:
        out.pop()
    return out


@dataclass(frozen=True)
class Block:
    """``pixels`` uint8 [height, width, 3]; labels in merge order (the four patches of a cell together);
    ``rows``: see :func:`row_classes`."""

    pixels: npt.NDArray[np.uint8]
    patch_labels: npt.NDArray[np.int16]
    cell_labels: npt.NDArray[np.int16]
    rows: list[list[int] | None]


def make_block(rng: random.Random, recipe: Recipe) -> Block:
    canvas = draw_block(rng, recipe)
    image = degrade(canvas.image, rng, recipe.width)
    return labelled(np.asarray(image, np.uint8), canvas.runs)


def labelled(pixels: npt.NDArray[np.uint8], runs: list[Run]) -> Block:
    """Labels for a picture whose sides are multiples of the cell."""
    height, width = pixels.shape[:2]
    rows, cols = height // PATCH, width // PATCH
    patch = labels(runs, rows, cols, PATCH, PATCH_SLOTS)
    cell = labels(runs, height // CELL, width // CELL, CELL, CELL_SLOTS)
    return Block(pixels, merge_order(patch, rows, cols), cell, row_classes(runs, rows, width))


def merge_order(values: npt.NDArray[np.int16], rows: int, cols: int) -> npt.NDArray[np.int16]:
    """Row-major patches to the order of the vision tower: cell by cell, four patches each."""
    grid = values.reshape(rows // 2, 2, cols // 2, 2, -1)
    return grid.transpose(0, 2, 1, 3, 4).reshape(rows * cols, -1)


def patchify(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """uint8 [height, width, 3] to normalised patches float32 [patches, 3 × 16 × 16] in merge order."""
    rows, cols = pixels.shape[0] // PATCH, pixels.shape[1] // PATCH
    x = pixels.astype(np.float32) * (1 / 127.5) - 1.0
    grid = x.reshape(rows // 2, 2, PATCH, cols // 2, 2, PATCH, 3)
    return np.ascontiguousarray(grid.transpose(0, 3, 1, 4, 6, 2, 5)).reshape(rows * cols, -1)
