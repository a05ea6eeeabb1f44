"""hydra_rag: settings, command line, HTTP. Names resolve lazily; importing costs nothing."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hydra_rag_agents.facade import HydraRAG
    from hydra_rag_api.settings import Settings

_HOMES = {"HydraRAG": "hydra_rag_agents.facade", "Settings": "hydra_rag_api.settings"}

__all__ = ["HydraRAG", "Settings"]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'hydra_rag_api' has no attribute {name!r}")
    return getattr(import_module(home), name)
