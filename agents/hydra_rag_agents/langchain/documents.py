"""Pages as LangChain documents, pictures as LangChain content blocks."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from langchain_core.documents import Document

from hydra_rag.geometry import Box
from hydra_rag_agents.sources import FoundPage, PageView
from hydra_rag_agents.tool_values import Picture, ToolOutput

__all__ = ["blocks", "document", "documents"]


def document(page: FoundPage, pictures: Sequence[Picture] = ()) -> Document:
    """A page. ``page_content``: its text layer, never empty. Metadata, as LangChain's loaders name it:
    ``source``, ``page`` (from 0), ``page_label``, ``total_pages``, and of ours ``document_id``, ``document``,
    ``sha256``, ``mime_type``, ``score``, ``rank``, ``width``, ``height`` (pixels), ``bbox`` (of the best
    region, 0 to 1, origin top-left) and ``regions`` (``box`` in pixels, ``bbox``, ``score``); with pictures
    also ``images`` (``base64``, ``mime_type``, ``box``, ``bbox``).
    """
    view = page.view
    regions = [{"box": list(box), "bbox": _normal(box, view), "score": score} for box, score in page.regions]
    metadata: dict[str, Any] = {
        "source": view.source,
        "page": view.page - 1,
        "page_label": view.label or str(view.page),
        "total_pages": view.total_pages,
        "document_id": view.document_id,
        "document": view.document,
        "mime_type": view.media_type,
        "score": page.score,
        "rank": page.rank,
        "width": view.width,
        "height": view.height,
        "bbox": regions[0]["bbox"] if regions else None,
        "regions": regions,
    }
    if view.sha256 is not None:
        metadata["sha256"] = view.sha256
    if view.url is not None:
        metadata["image_url"] = view.url
    if page.quotes:
        metadata["quotes"] = list(page.quotes)
    if pictures:
        metadata["images"] = [
            {
                "base64": base64.b64encode(picture.png).decode(),
                "mime_type": "image/png",
                "box": list(picture.box),
                "bbox": _normal(picture.box, view),
            }
            for picture in pictures
        ]
    return Document(
        id=f"{view.document_id}:{view.page}",
        page_content=view.text or f"Page {view.page} of {view.document}",
        metadata=metadata,
    )


def documents(output: ToolOutput, *, images: bool = True) -> list[Document]:
    """The pages of a tool's output, each with the pictures that were made of it."""
    pictures = [part for part in output.parts if isinstance(part, Picture)] if images else []
    return [document(page, [p for p in pictures if p.page is page]) for page in output.pages]


def blocks(output: ToolOutput) -> list[str | dict[str, Any]]:
    """What the chat model sees: text blocks and image blocks."""
    return [
        {"type": "text", "text": part}
        if isinstance(part, str)
        else {
            "type": "image",
            "base64": base64.b64encode(part.png).decode(),
            "mime_type": "image/png",
            "extras": {
                "document_id": part.page.view.document_id,
                "page": part.page.view.page - 1,
                "box": list(part.box),
            },
        }
        for part in output.parts
    ]


def _normal(box: Box, view: PageView) -> list[float]:
    sizes = (view.width, view.height, view.width, view.height)
    return [round(value / size, 6) for value, size in zip(box, sizes, strict=True)]
