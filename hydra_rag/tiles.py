"""Reading pages: a first pass over the whole page, and closer ones over enlarged parts of it.

The first pass is the one that embeds the page. Ten-point print is about 14 pixels high there; a small tower
reads print of 20 to 30 pixels far better, and a line on the border of two rows of patches worse than one in
the middle of a row. So parts of the page are drawn larger and read again. Attention stays within a part,
so a closer pass costs far less than the whole page at that size would. There are two, at different sizes:
what passes agree on is mostly right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from PIL import Image

from hydra_rag.errors import UnsupportedModelError
from hydra_rag.geometry import Box, Grid
from hydra_rag.images import as_rgb
from hydra_rag.read_words import Read, in_order, reads_of
from hydra_rag.scheduler import in_turn
from hydra_rag.vision import compute

if TYPE_CHECKING:
    from hydra_rag.inputs import Prompt
    from hydra_rag.processor import HydraProcessor
    from hydra_rag.reading import Transcript
    from hydra_rag.scheduler import Job
    from hydra_rag.values import Word
    from hydra_rag.vision import ImageFeatures, VisionCache

__all__ = ["Reader", "cut"]

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


@dataclass(slots=True)
class _Page:
    """A page and what was read of it so far."""

    image: Image.Image
    grid: Grid
    reads: list[Read] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Tile:
    """A part of a page that is read closer. ``box``: in pixels of the page drawn at ``size``."""

    page: _Page
    part: Image.Image
    box: Box
    size: tuple[int, int]


class Reader:
    """Reads pages. ``submit`` queues a pass of the tower ``model``, which is all that the model's thread does
    for it: what comes before and after a pass is the caller's, while other passes run."""

    def __init__(
        self,
        cache: VisionCache,
        model: Any,
        processor: HydraProcessor,
        submit: Callable[[Callable[[], Generator[None, None, Transcript]]], Job[Transcript]],
    ) -> None:
        if cache.head is None:
            raise UnsupportedModelError(
                "this model has no reading head; pip install 'hydra-rag[ocr]' to read the text of pictures"
            )
        self._cache, self._model, self._processor, self._submit = cache, model, processor, submit
        self._alphabet = cache.head.alphabet

    def read(
        self, images: Iterable[Image.Image], prepare: Callable[[Image.Image], Prompt], *, close: bool
    ) -> list[list[Word]]:
        """The words of every image. ``prepare``: the prompt that shows an image alone; ``close``: with the
        closer passes."""
        pages: list[_Page] = []
        for tile, transcript in in_turn(self._passes(images, prepare, pages, close)):
            tile.page.reads += self._closer(tile, transcript)
        return [in_order(page.reads) for page in pages]

    def _passes(
        self,
        images: Iterable[Image.Image],
        prepare: Callable[[Image.Image], Prompt],
        pages: list[_Page],
        close: bool,
    ) -> Iterator[tuple[_Tile, Job[Transcript]]]:
        """The closer passes of all pages, each submitted. ``pages`` receives every page when its first pass
        has been read, which is queued while the page before it is read closer."""
        for page, transcript in in_turn(self._first(image, prepare(image)) for image in images):
            page.reads += self._reads(transcript, page.image)
            pages.append(page)
            found = [read.box for read in page.reads]
            for scale in ENLARGED if close else ():
                for tile in self._tiles(page, scale, found):
                    yield tile, self._look(tile)

    def _first(self, image: Image.Image, prompt: Prompt) -> tuple[_Page, Job[Transcript]]:
        job = self._pass(lambda: self._cache.features(self._model, prompt.images, self._model.device))
        return _Page(as_rgb(image), prompt.images[0].grid), job

    def _look(self, tile: _Tile) -> Job[Transcript]:
        prepared = self._processor.image(tile.part, max_tokens=4 * _WIDE * _HIGH)
        return self._pass(lambda: compute(self._model, [prepared], self._model.device, self._cache.head))

    def _pass(self, features: Callable[[], tuple[ImageFeatures, ...]]) -> Job[Transcript]:
        def steps() -> Generator[None, None, Transcript]:
            yield
            (found,) = features()
            assert found.transcript is not None
            return found.transcript

        return self._submit(steps)

    def _reads(self, transcript: Transcript, image: Image.Image) -> list[Read]:
        return reads_of(transcript.rows(self._alphabet), transcript.classes.shape[1], image)

    def _tiles(self, page: _Page, scale: float, places: Sequence[Box]) -> Iterator[_Tile]:
        """The tiles that hold some of ``places`` (pixels of the page), with the page drawn ``scale`` times as
        large as on its grid."""
        cell = self._processor.cell
        size = round(page.grid.cols * cell * scale), round(page.grid.rows * cell * scale)
        across, down = page.image.width / size[0], page.image.height / size[1]
        boxes = [box for box in cut(size, cell) if _holds(box.scale(across, down), places)]
        drawn = page.image.resize(size, Image.Resampling.BICUBIC) if boxes else page.image
        for box in boxes:
            yield _Tile(page, drawn.crop(box), box, size)

    def _closer(self, tile: _Tile, transcript: Transcript) -> Iterator[Read]:
        """What is read of a tile, in pixels of its page."""
        page, size = tile.page.image, tile.size
        across, down = page.width / size[0], page.height / size[1]
        for read in self._reads(transcript, tile.part):
            if _whole(read.box, tile.box, size):
                box = read.box.shift(tile.box.left, tile.box.top).scale(across, down).clip(*page.size)
                yield Read(read.text, box, read.score, closer=read.box.height <= _LARGE)


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
