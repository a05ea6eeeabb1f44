"""What a collection has stored of its documents: rows, originals, page images, words. Needs no model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hydra_rag.errors import StoreError
from hydra_rag.geometry import Box
from hydra_rag.store import documents
from hydra_rag.store.records import DocumentInfo, PageInfo
from hydra_rag.store.store import Store
from hydra_rag.values import Word
from hydra_rag_indexing.page_images import crop_page, load_page_image

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["StoredPages"]


class StoredPages:
    """The documents of one collection of one tenant. Pages are numbered from 1."""

    def __init__(self, store: Store, tenant: str, name: str) -> None:
        self.store, self.tenant, self.name = store, tenant, name

    def documents(self, *, limit: int | None = None, after: str | None = None) -> list[DocumentInfo]:
        """Documents in the order they were added, also those still being ingested (``status``
        ``"working"``): all of them, or the first ``limit`` behind the one of the id ``after``."""
        return documents.list_documents(self.store, self.tenant, self.name, limit=limit, after=after)

    def document(self, document_id: str) -> DocumentInfo:
        """One document with its pages in ``page_list``. Raises :class:`NotFoundError`."""
        return documents.get_document(self.store, self.tenant, self.name, document_id)

    def page(self, document_id: str, page: int) -> PageInfo:
        return documents.get_page(self.store, self.tenant, self.name, document_id, page)

    def page_image(self, document_id: str, page: int) -> Image.Image:
        """The stored image (RGB). Raises :class:`NotFoundError`, :class:`CorruptionError`."""
        return load_page_image(self.store, self.tenant, self.page(document_id, page))

    def page_words(self, document_id: str, page: int) -> list[Word]:
        """The text layer, boxes in page pixels; empty where there is none."""
        return documents.page_words(self.store, self.tenant, self.page(document_id, page).page_key)

    def original_path(self, document_id: str) -> Path:
        """Where the stored original lies (read-only)."""
        document = self.document(document_id)
        blob = documents.blob_of(self.store, self.tenant, document.sha256)
        if blob is None:
            raise StoreError(
                "The original's row is missing: run `hydra-rag doctor --repair`.", code="corruption"
            )
        return self.store.blob_path(self.tenant, blob.sha256, blob.suffix)

    def render_crop(self, document_id: str, page: int, box: Box, scale: float = 1.0) -> Image.Image:
        """``box`` (page pixels) at ``scale`` times its stored size, rendered anew from the original
        where that gives more pixels, else cut from the stored image and enlarged."""
        info = self.page(document_id, page)
        box = Box(*box).clip(info.width, info.height)
        return crop_page(self.store, self.tenant, info, box, scale, lambda: self.original_path(document_id))
