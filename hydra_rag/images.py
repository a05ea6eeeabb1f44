"""Page and query images on their way into a model: size within a token budget, pixels, identity.

The size rule is that of the Qwen processors (multiples of the merged cell, aspect kept, between a least
and a greatest number of cells), with two repairs: a very long strip never exceeds the budget and never
raises. An image is not enlarged beyond its native size, except to the model's least number of cells or
when ``upscale`` asks for the whole budget.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from hydra_rag.errors import UsageError
from hydra_rag.geometry import Grid

if TYPE_CHECKING:
    import torch

__all__ = ["PreparedImage", "as_rgb", "fit_grid", "prepare_image"]


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """An image ready for the vision tower.

    ``pixels``: float32 [patches, channels × time × patch × patch]. ``grid_thw``: (1, rows, cols) of
    *patches*. ``grid``: merged cells, one per token. ``size``: (width, height) of the image passed in.
    ``key``: hex digest of what the tower will see.
    """

    pixels: torch.Tensor
    grid_thw: tuple[int, int, int]
    grid: Grid
    size: tuple[int, int]
    key: str

    @property
    def tokens(self) -> int:
        return self.grid.cells


def fit_grid(
    width: int, height: int, cell: int, *, max_tokens: int, min_tokens: int = 1, upscale: bool = False
) -> Grid:
    """Rows and columns of merged cells for an image of ``width`` × ``height`` pixels.

    Equal to ``smart_resize`` of transformers (Qwen2-VL) with ``min_pixels = min_tokens · cell²`` and
    ``max_pixels = max_tokens · cell²`` wherever that one stays within its own limits.
    """
    if width < 1 or height < 1:
        raise UsageError(f"an image of {width} × {height} pixels has nothing to look at")
    max_tokens = max(1, max_tokens)
    min_tokens = min(max(1, min_tokens), max_tokens)
    rows, cols = round(height / cell), round(width / cell)
    area = width * height
    if rows * cols > max_tokens or (upscale and rows * cols < max_tokens):
        beta = math.sqrt(area / (max_tokens * cell * cell))
        rows = max(1, math.floor(height / beta / cell))
        cols = max(1, math.floor(width / beta / cell))
    elif rows * cols < min_tokens:
        beta = math.sqrt(min_tokens * cell * cell / area)
        rows, cols = math.ceil(height * beta / cell), math.ceil(width * beta / cell)
    # Strips: one side is already a single cell, so the other takes what is left of the budget.
    rows, cols = min(max(1, rows), max_tokens), min(max(1, cols), max_tokens)
    if rows * cols > max_tokens:
        rows, cols = (
            (rows, max(1, max_tokens // rows)) if cols >= rows else (max(1, max_tokens // cols), cols)
        )
    return Grid(rows, cols)


def as_rgb(image: Image.Image) -> Image.Image:
    """RGB; transparent parts become white, as paper is, instead of black."""
    if image.mode == "RGB":
        return image
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        page = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(page, layer).convert("RGB")
    return image.convert("RGB")


def prepare_image(image: Image.Image, processor: Any, grid: Grid, cell: int) -> PreparedImage:
    """Resize to exactly ``grid`` and cut into patches with transformers' PIL image processor."""
    import torch

    rgb = as_rgb(image)
    target = (grid.cols * cell, grid.rows * cell)
    if rgb.size != target:
        rgb = rgb.resize(target, resample=Image.Resampling(processor.resample))
    out = processor([rgb], do_resize=False, do_convert_rgb=False, return_tensors="np")
    patches = np.ascontiguousarray(out["pixel_values"], dtype=np.float32)
    thw = tuple(int(v) for v in out["image_grid_thw"][0])
    digest = hashlib.blake2b(repr(thw).encode(), digest_size=16)
    digest.update(rgb.tobytes())
    return PreparedImage(
        pixels=torch.from_numpy(patches),
        grid_thw=(thw[0], thw[1], thw[2]),
        grid=grid,
        size=image.size,
        key=digest.hexdigest(),
    )
