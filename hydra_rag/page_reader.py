"""Reading pages: a first pass over the whole page, and closer ones over its lines of print.

The first pass is the one that embeds the page. Ten-point print is about 14 pixels high there; a small tower
reads print of 20 to 30 pixels far better, and a line on the border of two rows of patches worse than one in
the middle of a row. So the lines that the first pass found are drawn again, all with print of one height, and
set on sheets (:mod:`hydra_rag.sheets`), without the paper round them. All lines are read with print of two
heights. What several reads agree on is mostly right: lines with words on which no two do are read at a third.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from hydra_rag.errors import UnsupportedModelError
from hydra_rag.images import as_rgb
from hydra_rag.read_words import Read, grey_of, in_order, reads_of
from hydra_rag.scheduler import in_turn
from hydra_rag.sheets import Sheet, sheets
from hydra_rag.text_lines import text_lines
from hydra_rag.vision import compute

if TYPE_CHECKING:
    from PIL import Image

    from hydra_rag.inputs import Prompt
    from hydra_rag.processor import HydraProcessor
    from hydra_rag.read_words import Grey
    from hydra_rag.reading import Transcript
    from hydra_rag.scheduler import Job
    from hydra_rag.values import Word
    from hydra_rag.vision import ImageFeatures, VisionCache

__all__ = ["Reader"]

#: Heights of print on the sheets of the closer passes, in pixels from the deepest to the tallest letters. So
#: many of them read every line, the others those of whose words no two reads agree.
SIZES, ALL = (18.0, 24.0, 21.0), 2


@dataclass(slots=True)
class _Page:
    """A page and what was read of it so far."""

    image: Image.Image
    grey: Grey
    reads: list[Read] = field(default_factory=list)


class Reader:
    """Reads pages. ``submit`` queues a pass of the tower ``model``, which is all that the model's thread does
    for it: what comes before and after a pass is the caller's, while other passes run."""

    def __init__(
        self,
        cache: VisionCache,
        model: Any,
        processor: HydraProcessor,
        submit: Callable[[Callable[[], Generator[None, None, list[Transcript]]]], Job[list[Transcript]]],
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
        pages = self._first(images, prepare)
        if close:
            for number, size in enumerate(SIZES):
                pages = self._closer(pages, size, doubtful=number >= ALL)
        return [in_order(page.reads) for page in pages]

    def _first(
        self, images: Iterable[Image.Image], prepare: Callable[[Image.Image], Prompt]
    ) -> Iterator[_Page]:
        for page, [transcript] in in_turn(self._look(image, prepare(image)) for image in images):
            rows = transcript.rows(self._alphabet)
            page.reads += reads_of(rows, transcript.classes.shape[1], page.grey)
            yield page

    def _look(self, image: Image.Image, prompt: Prompt) -> tuple[_Page, Job[list[Transcript]]]:
        rgb = as_rgb(image)
        features = partial(self._cache.features, self._model, prompt.images, self._model.device)
        return _Page(rgb, grey_of(rgb)), self._passes([features])

    def _closer(self, pages: Iterator[_Page], size: float, *, doubtful: bool) -> Iterator[_Page]:
        for (page, drawn), found in in_turn(self._look_closer(page, size, doubtful) for page in pages):
            for sheet, transcript in zip(drawn, found, strict=True):
                page.reads += sheet.reads(transcript.rows(self._alphabet), page.grey)
            yield page

    def _look_closer(
        self, page: _Page, size: float, doubtful: bool
    ) -> tuple[tuple[_Page, list[Sheet]], Job[list[Transcript]]]:
        drawn = sheets(page.image, text_lines(page.reads, page.grey, doubtful=doubtful), size)
        prepared = [self._processor.image(sheet.image, max_tokens=sheet.cells) for sheet in drawn]
        head, device = self._cache.head, self._model.device
        return (page, drawn), self._passes(
            [partial(compute, self._model, [image], device, head) for image in prepared]
        )

    def _passes(self, passes: Sequence[Callable[[], tuple[ImageFeatures, ...]]]) -> Job[list[Transcript]]:
        def steps() -> Generator[None, None, list[Transcript]]:
            out = []
            for one in passes:
                yield
                (found,) = one()
                assert found.transcript is not None
                out.append(found.transcript)
            return out

        return self._submit(steps)
