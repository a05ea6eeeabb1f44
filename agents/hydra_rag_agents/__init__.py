"""hydra_rag: the agent and the HydraRAG facade. Names resolve lazily; importing costs nothing."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hydra_rag_agents.facade import HydraRAG
    from hydra_rag_agents.result import AskResult
    from hydra_rag_agents.state import Answer, AskSettings, Budget, Citation, Step

_HOMES = {
    "Answer": "hydra_rag_agents.state",
    "AskResult": "hydra_rag_agents.result",
    "AskSettings": "hydra_rag_agents.state",
    "Budget": "hydra_rag_agents.state",
    "Citation": "hydra_rag_agents.state",
    "HydraRAG": "hydra_rag_agents.facade",
    "Step": "hydra_rag_agents.state",
}

__all__ = ["Answer", "AskResult", "AskSettings", "Budget", "Citation", "HydraRAG", "Step"]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'hydra_rag_agents' has no attribute {name!r}")
    return getattr(import_module(home), name)
