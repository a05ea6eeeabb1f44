"""A look: the model's own map of a page, boxes from it, and the crops that a gaze shows.

Boxes are snapped to the text layer where the page has one; a small model's map is held against it as well.
Crops are drawn anew from the document's file at the size at which the model reads text best.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hydra_rag.geometry import Box
from hydra_rag.saliency.boxes import propose
from hydra_rag.values import Word
from hydra_rag_agents.gate import Look, Spot
from hydra_rag_agents.ports import Library, Reader
from hydra_rag_agents.state import PageId, ReaderProfile, Turn
from hydra_rag_agents.word_map import with_words

if TYPE_CHECKING:
    from PIL import Image

    from hydra_rag.saliency.maps import SaliencyMap

__all__ = ["crop_page", "frame", "line_height", "look", "words_in"]

#: Crops are never drawn smaller than this part of the stored size.
_LEAST = 0.75


def look(library: Library, reader: Reader, turn: Turn, page: PageId | None) -> Look:
    """Where the model looks on ``page`` (``None``: the question's own image) for the turn's question."""
    image = turn.image if page is None else library.image(page)
    assert image is not None, "a look needs an image"
    words = library.words(page) if page is not None and turn.settings.text_layer else ()
    found = reader.look(image, turn.asked)
    if reader.profile.bound:
        found = with_words(found, words, turn.asked, *image.size)
    regions = propose(found, *image.size, words=words)
    whole = reader.sharpness(*image.size)
    spots = []
    for region in regions:
        if page is None:
            crop, box = image.crop(region.box), region.box
        else:
            box = frame(reader.profile, region.box, image.size)
            crop = crop_page(library, reader.profile, page, box, words)
        share = region.box.area / (image.width * image.height)
        seen = crop.width / box.width * reader.sharpness(*crop.size)
        spots.append(Spot(region.box, region.mass, share, region.mass / share, seen / whole))
    return Look(page, tuple(spots), found.entropy, _detail(found, image))


def _detail(found: SaliencyMap, image: Image.Image) -> dict[str, object]:
    return {
        "method": found.method,
        "entropy": round(found.entropy, 4),
        "peak": list(found.peak_point(*image.size)),
        "map": found.to_json(),
    }


def frame(profile: ReaderProfile, box: Box, size: tuple[int, int]) -> Box:
    """``box`` with the surroundings that a crop shown alone needs; as it is beside its page."""
    if profile.beside:
        return box.clip(*size)
    width, height = (round(part * side) for part, side in zip(profile.context, size, strict=True))
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
    inside = words_in(words, (box,))
    if inside:
        tall = float(np.median([word.box.height for word in inside]))
    else:
        tall = line_height(library.image(page).crop(box))
    wanted = profile.text_px / tall if tall else 1.0
    scale = min(profile.crop_scale, max(_LEAST, wanted))
    crop = library.crop(page, box, scale)
    size = (round(box.width * scale), round(box.height * scale))
    if crop.width < size[0] - 1:  # a file of pixels has no more of them: small print is enlarged
        from PIL import Image

        crop = crop.resize(size, Image.Resampling.LANCZOS)
    return crop


def words_in(words: Sequence[Word], boxes: Sequence[Box]) -> list[Word]:
    """The words whose middle lies in one of ``boxes``."""
    return [
        w
        for w in words
        if any(b.contains((w.box.left + w.box.right) / 2, (w.box.top + w.box.bottom) / 2) for b in boxes)
    ]


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
