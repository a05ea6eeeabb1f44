"""Answers of the parser process turned into checked values."""

from __future__ import annotations

from typing import Any

from PIL import Image

from hydra_rag.errors import FileError
from hydra_rag.geometry import Box
from hydra_rag.values import Word
from hydra_rag_indexing.files.page import PageImage

__all__ = ["to_image", "to_page"]


def to_image(header: dict[str, Any], payload: bytearray) -> Image.Image:
    """The RGB picture of an answer. Raises ``FileError`` when sizes do not fit together."""
    width, height, stride = header.get("width"), header.get("height"), header.get("stride")
    if (
        not (isinstance(width, int) and isinstance(height, int) and isinstance(stride, int))
        or width < 1
        or height < 1
        or stride < width * 3
        or stride * height != len(payload)
    ):
        raise _nonsense()
    return Image.frombytes("RGB", (width, height), bytes(payload), "raw", "RGB", stride)


def to_page(number: int, header: dict[str, Any], payload: bytearray) -> PageImage:
    """The page of an answer; boxes are clipped to the picture."""
    image = to_image(header, payload)
    dpi, label, spans = header.get("dpi"), header.get("label"), header.get("words")
    if not isinstance(spans, list):
        raise _nonsense()
    words = [_word(span, image.width, image.height) for span in spans]
    return PageImage(
        number=number,
        image=image,
        words=words,
        label=_line(label)[:100] if isinstance(label, str) else None,
        text_source="layer" if words else None,
        dpi=float(dpi) if isinstance(dpi, (int, float)) else None,
    )


def _word(span: object, width: int, height: int) -> Word:
    if not (isinstance(span, list) and len(span) == 5 and isinstance(span[0], str)):
        raise _nonsense()
    if not all(isinstance(value, int) for value in span[1:]):
        raise _nonsense()
    return Word(span[0], Box(*span[1:]).clip(width, height))


def _line(text: str) -> str:
    return "".join(char for char in text if char.isprintable())


def _nonsense() -> FileError:
    return FileError("the parser sent nonsense; save the file again in another program", code="parser_crash")
