"""hydra_rag: files to pages, segments, search. Names resolve lazily: importing this costs nothing."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hydra_rag_indexing.multivector_index import MultiVectorIndex

__all__ = ["MultiVectorIndex"]


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(import_module("hydra_rag_indexing.multivector_index"), name)
    raise AttributeError(f"module 'hydra_rag_indexing' has no attribute {name!r}")
