"""Reading pages: a first pass over the whole page, and closer ones over enlarged parts of it.

The first pass is the one that embeds the page. Ten-point print is about 14 pixels high there; a small tower
reads print of 20 to 30 pixels far better, and a line on the border of two rows of patches worse than one in
the middle of a row. So parts of the page are drawn larger and read again. Attention stays within a part,
so a closer pass costs far less than the whole page at that size would. There are two, at different sizes:
what passes agree on is mostly right.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from hydra_rag.errors import UnsupportedModelError
from hydra_rag.geometry import Box, Grid
from hydra_rag.images import as_rgb
from hydra_rag.read_words import Read, in_order, reads_of
from hydra_rag.vision import compute

if TYPE_CHECKING:
    from hydra_rag.inputs import Prompt
    from hydra_rag.processor import HydraProcessor
    from hydra_rag.reading import Transcript
    from hydra_rag.values import Word
    from hydra_rag.vision import VisionCache

__all__ = ["cut", "read_steps"]

#: How much larger a page is drawn for the closer passes, against the size at which it is embedded.
ENLARGED = (1.2, 1.4)
#: A tile's width and height, about, and by how much it overlaps its neighbours, in merged cells.
_WIDE, _HIGH = 20, 14
_OVER_WIDTH, _OVER_HEIGHT = 4, 2
#: Print that is higher than this in a tile, in pixels, was read as well where it is smaller.
_LARGE = 40
#: A word this near to an edge that cuts through the page, sideways and up or down, may be cut itself; in
#: pixels of the tile.
_BESIDE, _ABOVE = 16, 6


def read_steps(
    cache: VisionCache,
    model: Any,
    processor: HydraProcessor,
    prompts: Sequence[Prompt],
    images: Sequence[Image.Image],
    *,
    close: bool,
) -> Generator[None, None, list[list[Word]]]:
    """The slices of reading pages, one a pass of the tower. ``prompts``: each shows its image alone;
    ``close``: with the closer passes."""
    if cache.head is None:
        raise UnsupportedModelError(
            "this model has no reading head; pip install 'hydra-rag[ocr]' to read the text of pictures"
        )
    pages = []
    for prompt, image in zip(prompts, images, strict=True):
        (features,) = cache.features(model, prompt.images, model.device)
        assert features.transcript is not None
        page = as_rgb(image)
        reads = _reads(features.transcript, cache.head.alphabet, page)
        yield
        found = [read.box for read in reads]
        for scale in ENLARGED if close else ():
            grid = prompt.images[0].grid
            reads += yield from _closer(cache, model, processor, page, grid, scale, found)
        pages.append(in_order(reads))
    return pages


def _reads(transcript: Transcript, alphabet: str, image: Image.Image) -> list[Read]:
    return reads_of(transcript.rows(alphabet), transcript.classes.shape[1], image)


def _closer(
    cache: VisionCache,
    model: Any,
    processor: HydraProcessor,
    page: Image.Image,
    grid: Grid,
    scale: float,
    places: Sequence[Box],
) -> Generator[None, None, list[Read]]:
    """What is read of the tiles that hold some of ``places`` (pixels of ``page``), with the page drawn
    ``scale`` times as large as on ``grid``."""
    assert cache.head is not None
    size = round(grid.cols * processor.cell * scale), round(grid.rows * processor.cell * scale)
    across, down = page.width / size[0], page.height / size[1]
    tiles = [tile for tile in cut(size, processor.cell) if _holds(tile.scale(across, down), places)]
    drawn = page.resize(size, Image.Resampling.BICUBIC) if tiles else page
    out = []
    for tile in tiles:
        part = drawn.crop(tile)
        prepared = processor.image(part, max_tokens=4 * _WIDE * _HIGH)
        (features,) = compute(model, [prepared], model.device, cache.head)
        assert features.transcript is not None
        for read in _reads(features.transcript, cache.head.alphabet, part):
            if _whole(read.box, tile, size):
                box = read.box.shift(tile.left, tile.top).scale(across, down).clip(*page.size)
                out.append(Read(read.text, box, read.score, closer=read.box.height <= _LARGE))
        yield
    return out


def cut(size: tuple[int, int], cell: int) -> list[Box]:
    """Tiles of about the same size that cover ``size`` (width, height) and overlap; sides are multiples of
    ``cell`` where the page is large enough."""
    across = _spans(size[0], _WIDE * cell, _OVER_WIDTH * cell, cell)
    down = _spans(size[1], _HIGH * cell, _OVER_HEIGHT * cell, cell)
    return [Box(left, top, right, bottom) for top, bottom in down for left, right in across]


def _spans(length: int, about: int, overlap: int, cell: int) -> list[tuple[int, int]]:
    count = max(1, round((length - overlap) / (about - overlap)))
    side = min(length, math.ceil((length + (count - 1) * overlap) / count / cell) * cell)
    starts = [round(i * (length - side) / max(1, count - 1)) for i in range(count)]
    return [(start, start + side) for start in starts]


def _holds(tile: Box, places: Sequence[Box]) -> bool:
    return any(tile.intersect(place).area for place in places)


def _whole(box: Box, tile: Box, size: tuple[int, int]) -> bool:
    """Whether a word of a tile keeps away from the edges that cut through the page. ``box``: in pixels of
    the tile."""
    return not (
        (tile.left > 0 and box.left <= _BESIDE)
        or (tile.top > 0 and box.top <= _ABOVE)
        or (tile.right < size[0] and box.right >= tile.width - _BESIDE)
        or (tile.bottom < size[1] and box.bottom >= tile.height - _ABOVE)
    )
