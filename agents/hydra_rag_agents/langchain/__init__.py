"""LangChain: a retriever and two tools over a local store or a running server. Needs langchain-core only.

Importing this loads neither model nor store, nor does making a retriever or a tool; the first call does.
"""

from __future__ import annotations

try:
    import langchain_core  # noqa: F401
except ImportError as error:
    from hydra_rag.errors import MissingExtraError

    raise MissingExtraError(
        "The LangChain bridge needs langchain-core: pip install 'hydra-rag[langchain]'."
    ) from error

from hydra_rag_agents.langchain.retriever import HydraRetriever
from hydra_rag_agents.langchain.tools import HydraAskTool, HydraSearchTool

__all__ = ["HydraAskTool", "HydraRetriever", "HydraSearchTool"]
