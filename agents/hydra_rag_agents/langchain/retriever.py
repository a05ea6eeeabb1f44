"""`HydraRetriever`: pages as LangChain documents."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, ValidationError

from hydra_rag.errors import UsageError
from hydra_rag_agents.langchain.connection import Connection
from hydra_rag_agents.langchain.documents import documents as as_documents
from hydra_rag_agents.langchain.running import arun, run
from hydra_rag_agents.tool_values import Images, Mode, SearchPages
from hydra_rag_agents.tools import TOOLS

__all__ = ["HydraRetriever"]

_SPEC = next(tool for tool in TOOLS if tool.name == "search_pages")


class HydraRetriever(Connection, BaseRetriever):
    """Finds pages by what they say and how they look.

    ::

        retriever = HydraRetriever(store="~/papers", k=3)
        retriever = HydraRetriever(url="http://127.0.0.1:8000", api_key="hyd_...", k=3)
        retriever.invoke("total of the March invoice", documents=["*.pdf"])

    ``include_images``: ``"page"`` or ``"crops"`` puts PNGs into ``metadata["images"]``. All that can be set
    here can be given to ``invoke`` too: ``k``, ``mode``, ``documents``, ``filter``, ``score_threshold``,
    ``include_images``. Raises the errors of :mod:`hydra_rag.errors`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        k: int | None = None,
        mode: Mode | None = None,
        documents: list[str] | None = None,
        filter: dict[str, Any] | None = None,
        score_threshold: float | None = None,
        include_images: Images | None = None,
    ) -> list[Document]:
        options = self._options(
            mode=mode, filter=filter, score_threshold=score_threshold, images=include_images
        )
        return as_documents(run(_SPEC, self._where, options, _arguments(query, k, documents), run_manager))

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        k: int | None = None,
        mode: Mode | None = None,
        documents: list[str] | None = None,
        filter: dict[str, Any] | None = None,
        score_threshold: float | None = None,
        include_images: Images | None = None,
    ) -> list[Document]:
        options = self._options(
            mode=mode, filter=filter, score_threshold=score_threshold, images=include_images
        )
        return as_documents(
            await arun(_SPEC, self._where, options, _arguments(query, k, documents), run_manager)
        )


def _arguments(query: str, k: int | None, documents: list[str] | None) -> SearchPages:
    try:
        return SearchPages(query=query, k=k, documents=documents)
    except ValidationError as error:
        faults = "; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())
        raise UsageError(f"The search can't be done ({faults}).") from error
