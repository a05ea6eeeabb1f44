"""What reading a file yields: pages with image and words, and what is known of the file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from hydra_rag.values import Word

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["BadPage", "FileInfo", "PageImage", "TextSource", "join_words"]

TextSource = Literal["layer", "ocr", "model"]


@dataclass(frozen=True, slots=True)
class FileInfo:
    """``media_type`` from the content, ``pages`` where it can be told without converting the file."""

    media_type: str
    pages: int | None = None


@dataclass(frozen=True, slots=True)
class BadPage:
    """A page that can't be read, in a file whose other pages can: 1-based number, and the error's words."""

    number: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class PageImage:
    """One page of a file, as it is stored.

    ``number`` is 1-based. ``image``: RGB, turned upright, on white. ``words``: the text layer (or OCR) in
    reading order, boxes in pixels of ``image``. ``label``: the printed page number of a PDF that names its
    pages. ``text_source``: where ``words`` came from (``"model"``: read by the model, never from a file
    alone), ``None`` when there are none. ``dpi``: pixels per inch of ``image``, where known.
    """

    number: int
    image: Image.Image = field(repr=False)
    words: list[Word] = field(default_factory=list, repr=False)
    label: str | None = None
    text_source: TextSource | None = None
    dpi: float | None = None

    @property
    def text(self) -> str:
        """The page's words as one string for full-text search; see :func:`join_words`."""
        return join_words(self.words)


def join_words(words: list[Word]) -> str:
    """Words joined by spaces, a line break where a new line starts, and words broken by a hyphen at a
    line's end put together again (``exam-`` ``ple`` becomes ``example``)."""
    parts: list[str] = []
    previous: Word | None = None
    for word in words:
        wraps = previous is not None and word.box.left < previous.box.left and word.box.top > previous.box.top
        if previous is None:
            parts.append(word.text)
        elif wraps and _is_broken(previous.text) and word.text[:1].islower():
            parts[-1] = parts[-1][:-1] + word.text
        else:
            parts.append(("\n" if wraps else " ") + word.text)
        previous = word
    return "".join(parts)


def _is_broken(text: str) -> bool:
    return len(text) > 2 and text[-1] in "-\u2010" and text[-2].isalpha() and "-" not in text[:-1]
