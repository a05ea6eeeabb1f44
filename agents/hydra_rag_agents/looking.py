"""A look: the model's own map of a page, boxes from it, and the crops that a gaze shows.

Boxes are snapped to the text layer where the page has one; a small model's map is held against it as well.
Crops are drawn anew from the document's file at the size at which the model reads text best.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hydra_rag.geometry import Box
from hydra_rag.lines import group_lines
from hydra_rag.saliency.boxes import propose
from hydra_rag.values import Word
from hydra_rag_agents.closer import CloserLibrary, on_page
from hydra_rag_agents.gate import Look, Spot
from hydra_rag_agents.ports import Library, Reader
from hydra_rag_agents.state import PageId, ReaderProfile, Turn
from hydra_rag_agents.word_map import likened, with_answers, with_words

if TYPE_CHECKING:
    from PIL import Image

    from hydra_rag.saliency.maps import SaliencyMap

__all__ = [
    "crop_page",
    "frame",
    "gain",
    "line_height",
    "look",
    "look_tokens",
    "reread",
    "rereads",
    "words_in",
]

#: Crops are never drawn smaller than this part of the stored size.
_LEAST = 0.75
#: An item in a picture of many is more than the line that was looked for: as parts of the picture.
_ITEM = (0.3, 0.15)


def look(
    library: Library,
    reader: Reader,
    turn: Turn,
    page: PageId | None,
    places: Sequence[tuple[Box, float]] = (),
) -> Look:
    """Where the model looks on ``page`` (``None``: the question's own image) for the turn's question.
    ``places``: words that it has scored as the answer (:attr:`hydra_rag_agents.moves.Draft.places`)."""
    image = turn.image if page is None else library.image(page)
    assert image is not None, "a look needs an image"
    words: Sequence[Word] = ()
    if page is not None:
        words = library.words(page) if turn.settings.text_layer else ()
    elif _chooses_and_reads(reader):
        words = reader.transcribe(image).words
    found = reader.look(image, turn.asked)
    if reader.profile.bound:
        unsure = page is None or library.read_by_model(page)
        named = likened(words, turn.asked) if unsure else words
        found = with_answers(with_words(found, named, turn.asked, *image.size), places, *image.size)
    spots = []
    for region in propose(found, *image.size, words=words):
        box = _grown(region.box, _ITEM, image.size) if page is None and words else region.box
        share = box.area / (image.width * image.height)
        zoom = _zoom(library, reader, page, box, image.size, words)
        spots.append(Spot(box, region.mass, share, region.mass / share, zoom))
    return Look(page, tuple(spots), found.entropy, _detail(found, image))


def look_tokens(reader: Reader, turn: Turn, page: PageId | None) -> int:
    """Upper bound of the tokens that :func:`look` runs through the model."""
    reading = reader.tokens(1, "", 0) if page is None and _chooses_and_reads(reader) else 0
    return reader.look_tokens(turn.asked) + reading


def rereads(library: Library, reader: Reader, page: PageId, box: Box | None = None) -> bool:
    """Whether a crop of the page (of ``box``) is read for its words, which are better than those known."""
    return _chooses_and_reads(reader) and library.read_by_model(page, box)


def _chooses_and_reads(reader: Reader) -> bool:
    return reader.profile.bound and reader.can_read


def _zoom(
    library: Library,
    reader: Reader,
    page: PageId | None,
    box: Box,
    size: tuple[int, int],
    words: Sequence[Word],
) -> float:
    """How many times more pixels a side of ``box`` gets as a crop than on the whole page."""
    scale = 1.0
    if page is not None:
        box = frame(reader.profile, box, size)
        if reader.profile.text_px:
            scale = _reading_scale(reader.profile, _line_px(library, page, box, words))
        else:
            scale = library.crop(page, box, reader.profile.crop_scale).width / box.width
    shown = max(1, round(box.width * scale)), max(1, round(box.height * scale))
    return scale * reader.sharpness(*shown) / reader.sharpness(*size)


def _detail(found: SaliencyMap, image: Image.Image) -> dict[str, object]:
    return {
        "method": found.method,
        "entropy": round(found.entropy, 4),
        "peak": list(found.peak_point(*image.size)),
        "map": found.to_json(),
    }


def frame(profile: ReaderProfile, box: Box, size: tuple[int, int]) -> Box:
    """``box`` with the surroundings that a crop shown alone needs; as it is beside its page."""
    return box.clip(*size) if profile.beside else _grown(box, profile.context, size)


def _grown(box: Box, least: tuple[float, float], size: tuple[int, int]) -> Box:
    """``box`` with its surroundings, at least so large as parts of ``size``."""
    width, height = (round(part * side) for part, side in zip(least, size, strict=True))
    grown = box.pad(max(0, width - box.width) // 2, max(0, height - box.height) // 2)
    # At the page's edge the frame moves inwards instead of losing a part of itself.
    dx = max(0, -grown.left) - max(0, grown.right - size[0])
    dy = max(0, -grown.top) - max(0, grown.bottom - size[1])
    return grown.shift(dx, dy).clip(*size)


def crop_page(
    library: Library, profile: ReaderProfile, page: PageId, box: Box, words: Sequence[Word] = ()
) -> Image.Image:
    """``box`` of the page, drawn at the size at which the model reads best. ``words``: the text layer."""
    if not profile.text_px:
        return library.crop(page, box, profile.crop_scale)
    scale = _reading_scale(profile, _line_px(library, page, box, words))
    crop = library.crop(page, box, scale)
    size = (round(box.width * scale), round(box.height * scale))
    if crop.width < size[0] - 1:  # a file of pixels has no more of them: small print is enlarged
        from PIL import Image

        crop = crop.resize(size, Image.Resampling.LANCZOS)
    return crop


def _reading_scale(profile: ReaderProfile, tall: float) -> float:
    """How many times its stored size a page is drawn, so that lines ``tall`` pixels high are read best."""
    return min(profile.crop_scale, max(_LEAST, profile.text_px / tall if tall else 1.0))


def _line_px(library: Library, page: PageId, box: Box, words: Sequence[Word]) -> float:
    """The usual height of the text in ``box``, in page pixels; 0.0 where there is none."""
    inside = words_in(words, (box,))
    return text_height(inside) if inside else line_height(library.image(page).crop(box))


def text_height(words: Sequence[Word]) -> float:
    """The usual height of ``words``, in pixels of their page."""
    return float(np.median([word.box.height for word in words]))


def gain(
    library: Library, reader: Reader, page: PageId, words: Sequence[Word], box: Box | None = None
) -> float:
    """How many times larger a closer look shows ``words``, which lie in ``box`` (``None``: anywhere).

    0.0 where there is nothing to gain, because the words are certain; infinite where it is not known: there
    are no words, or the model sees the pixels themselves."""
    if not words or not reader.profile.bound or not reader.profile.text_px:
        return math.inf
    if not rereads(library, reader, page, box):
        return 0.0
    scale = _reading_scale(reader.profile, text_height(words))
    return scale / reader.sharpness(*library.image(page).size)


def words_in(words: Sequence[Word], boxes: Sequence[Box]) -> list[Word]:
    """The words whose middle lies in one of ``boxes``."""
    return [
        w
        for w in words
        if any(b.contains((w.box.left + w.box.right) / 2, (w.box.top + w.box.bottom) / 2) for b in boxes)
    ]


def reread(
    library: CloserLibrary, reader: Reader, page: PageId, frames: Sequence[Box]
) -> tuple[list[str], int]:
    """Read parts of a page larger, and make what they say the page's words. Returns the text of each, and the
    visual tokens that it took."""
    texts, tokens = [], 0
    for box in frames:
        crop = crop_page(library, reader.profile, page, box, library.words(page))
        seen = reader.transcribe(crop)
        library.reread(page, box, on_page(seen.words, box, crop.size))
        texts.append("\n".join(line.text for line in group_lines(seen.words)))
        tokens += seen.tokens
    return texts, tokens


def line_height(image: Image.Image) -> float:
    """Pixels from the top to the foot of a typical text line of the image; 0.0 where there is none.

    Rows of pixels with ink are grouped into runs; a run of three pixels or more is a line. The median run is
    between the height of small letters and that of whole lines; a fifth is added.
    """
    grey = np.asarray(image.convert("L"), np.float32)
    paper = float(np.median(grey))
    ink = (np.abs(grey - paper) > 60).mean(1) > 0.002
    edges = np.flatnonzero(np.diff(np.concatenate(([0], ink.astype(np.int8), [0]))))
    runs = edges[1::2] - edges[::2]
    lines = runs[(runs >= 3) & (runs <= 0.5 * len(ink))]
    return 1.2 * float(np.median(lines)) if len(lines) else 0.0
