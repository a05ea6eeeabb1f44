"""Text for pages that have none: what the model itself reads in their pictures.

A text layer comes first, then the ``ocr`` extra, then the model, where it has a reading head. What a model
read is marked as such and read anew when another model takes over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, get_args

from sqlalchemy import delete, insert, update
from sqlalchemy.orm import Session

from hydra_rag.errors import UsageError
from hydra_rag.store.models import PageRow, PageWordsRow
from hydra_rag.store.records import NewPage
from hydra_rag.values import PageReader
from hydra_rag_indexing.files.load import OcrMode
from hydra_rag_indexing.files.page import TextSource, join_words
from hydra_rag_indexing.text import index_page_text

if TYPE_CHECKING:
    from PIL import Image

    from hydra_rag.values import Embedder, Word

__all__ = ["TextMode", "file_ocr", "read_by_model", "set_words", "wants_reading", "with_own_reading"]

#: Where text comes from for pictures: see :func:`file_ocr`.
TextMode = str
_MODES = (*get_args(OcrMode), "model")


def file_ocr(mode: TextMode) -> OcrMode:
    """What the file reader does for a document's ``ocr`` option. ``auto``: the ocr extra where it is
    installed, else the model; ``always``: the extra, on every page; ``model``: the model, also where the
    extra is installed; ``never``: text layers only. Raises :class:`UsageError` for anything else."""
    if mode not in _MODES:
        raise UsageError(f"ocr={mode!r} is unknown; use {', '.join(_MODES)}")
    return "never" if mode == "model" else mode  # type: ignore[return-value]


def wants_reading(source: str | None, mode: TextMode) -> bool:
    """Whether a page whose text has this source is to be read by the model."""
    return source in (None, "model") and mode in ("auto", "model")


def read_by_model(embedder: Embedder, images: Sequence[Image.Image]) -> list[list[Word]] | None:
    """Words of every image in its pixels; ``None`` where the model can't read. Call it right after the
    images were embedded: the tower's pass over them is then used again."""
    if not isinstance(embedder, PageReader) or not embedder.can_read:
        return None
    return embedder.read_pages(images)


def with_own_reading(
    embedder: Embedder, pages: Sequence[NewPage], images: Sequence[Image.Image], mode: TextMode
) -> list[NewPage]:
    """``pages`` with what the model reads in the ``images`` of those without text."""
    at = [i for i, page in enumerate(pages) if wants_reading(page.text_source, mode)]
    read = read_by_model(embedder, [images[i] for i in at]) if at else None
    out = list(pages)
    for i, words in zip(at, read or (), strict=False):
        if words:
            out[i] = replace(out[i], words=tuple(words), text_source="model")
    return out


def set_words(
    db: Session, tenant: str, page_key: int, words: Sequence[Word], source: TextSource | None
) -> None:
    """Replace the words and the full text of a stored page; part of the caller's transaction."""
    db.execute(delete(PageWordsRow).where(PageWordsRow.page_key == page_key))
    if words:
        rows = [[word.text, *word.box] for word in words]
        db.execute(insert(PageWordsRow).values(page_key=page_key, tenant=tenant, words=rows))
    index_page_text(db, page_key, tenant, join_words(list(words)))
    marked = source if words else None
    db.execute(update(PageRow).where(PageRow.page_key == page_key).values(text_source=marked))
