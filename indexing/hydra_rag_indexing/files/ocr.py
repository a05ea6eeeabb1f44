"""Words of pages that have no text layer, through the optional ``ocr`` extra (rapidocr on onnxruntime, whose
models are in its wheel). Imported on first use; without the extra it says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from math import ceil, floor
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from hydra_rag.errors import MissingExtraError
from hydra_rag.geometry import Box
from hydra_rag.values import Word

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["available", "read_words", "require"]

#: Words that the recogniser believes less than this are left out.
MIN_SCORE = 0.5


def available() -> bool:
    """Whether the extra is installed; imports nothing."""
    return find_spec("rapidocr") is not None and find_spec("onnxruntime") is not None


def require() -> None:
    """Raises ``MissingExtraError`` where the extra is not installed."""
    if not available():
        raise MissingExtraError(
            "reading text from pictures needs the ocr extra; pip install 'hydra-rag[ocr]', or use --ocr never"
        )


def read_words(image: Image.Image) -> list[Word]:
    """Words of an RGB picture in reading order, line by line, boxes in its pixels. Empty for a blank page.
    Boxes are as high as their line and split along it, so they are close, not exact."""
    if image.getcolors(1) is not None:
        return []
    # The engine takes OpenCV's channel order.
    pixels = np.ascontiguousarray(np.asarray(image)[:, :, ::-1])
    with _engine() as engine:
        answer = engine(pixels, return_word_box=True)
    words: list[Word] = []
    for line in getattr(answer, "word_results", None) or ():
        for item in line if line and not isinstance(line[0], str) else (line,):
            text, score, corners = item
            if corners is None or score < MIN_SCORE:
                continue
            box = _box(corners).clip(image.width, image.height)
            words.extend(Word(part, box) for part in str(text).split())
    return words


def _box(corners: Any) -> Box:
    xs, ys = [float(x) for x, _ in corners], [float(y) for _, y in corners]
    return Box(floor(min(xs)), floor(min(ys)), ceil(max(xs)), ceil(max(ys)))


#: Engines that nobody uses at the moment. One keeps the size of its last picture, so threads can't share it.
_IDLE: SimpleQueue[Any] = SimpleQueue()


@contextmanager
def _engine() -> Iterator[Any]:
    """An engine for one picture; it computes in the caller's thread alone."""
    try:
        engine = _IDLE.get_nowait()
    except Empty:
        engine = _new_engine()
    try:
        yield engine
    finally:
        _IDLE.put(engine)


def _new_engine() -> Any:
    require()
    from rapidocr import RapidOCR

    threads = {f"EngineConfig.onnxruntime.{kind}_op_num_threads": 1 for kind in ("intra", "inter")}
    return RapidOCR(params={"Global.log_level": "critical", **threads})
