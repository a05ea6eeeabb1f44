"""Files to pages: PDF, images, text, Markdown and Office documents.

Foreign formats are parsed in a process of their own, under limits of time, memory, pages and pixels; a file
that can't be read costs one :class:`~hydra_rag.errors.FileError` and nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hydra_rag_indexing.files.discovery import Found, discover
    from hydra_rag_indexing.files.limits import Limits
    from hydra_rag_indexing.files.load import OcrMode, load_pages, probe, render_region
    from hydra_rag_indexing.files.page import BadPage, FileInfo, PageImage, join_words

_HOMES = {
    "BadPage": "page",
    "FileInfo": "page",
    "Found": "discovery",
    "Limits": "limits",
    "OcrMode": "load",
    "PageImage": "page",
    "discover": "discovery",
    "join_words": "page",
    "load_pages": "load",
    "probe": "load",
    "render_region": "load",
}

__all__ = [
    "BadPage",
    "FileInfo",
    "Found",
    "Limits",
    "OcrMode",
    "PageImage",
    "discover",
    "join_words",
    "load_pages",
    "probe",
    "render_region",
]


def __getattr__(name: str) -> object:
    # The parser process imports this package too and must stay small, so nothing is loaded ahead.
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
