"""The SQL store: the only truth about documents, pages, segments, jobs and chats.

Vectors and images lie in immutable files that rows name; a file without a row is garbage that nobody
reads, a row without its file is damage that ``doctor`` reports. Importing this package costs nothing;
SQLAlchemy is loaded with the first name that needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hydra_rag.store.store import Store

__all__ = ["Store"]


def __getattr__(name: str) -> object:
    if name == "Store":
        return import_module("hydra_rag.store.store").Store
    raise AttributeError(f"module 'hydra_rag.store' has no attribute {name!r}")
