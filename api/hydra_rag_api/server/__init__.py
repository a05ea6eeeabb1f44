"""The HTTP server: native endpoints, an OpenAI-compatible surface, operations. Importing it costs nothing."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hydra_rag_api.server.app import create_app
    from hydra_rag_api.server.services import Services

_HOMES = {"create_app": "hydra_rag_api.server.app", "Services": "hydra_rag_api.server.services"}

__all__ = ["Services", "create_app"]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'hydra_rag_api.server' has no attribute {name!r}")
    return getattr(import_module(home), name)
