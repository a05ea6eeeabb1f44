"""`HydraSearchTool` and `HydraAskTool`: the documents in the hands of a chat model."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from langchain_core.callbacks import AsyncCallbackManagerForToolRun, CallbackManagerForToolRun
from langchain_core.tools import BaseTool, ToolException
from langchain_core.tools.base import ArgsSchema
from pydantic import ConfigDict, Field, SkipValidation

from hydra_rag.errors import HydraError
from hydra_rag_agents.langchain.connection import Connection
from hydra_rag_agents.langchain.documents import blocks, documents
from hydra_rag_agents.langchain.running import arun, run
from hydra_rag_agents.tool_values import Images, ToolOutput
from hydra_rag_agents.tools import TOOLS

__all__ = ["HydraAskTool", "HydraSearchTool"]

_SPECS = {tool.name: tool for tool in TOOLS}


class _HydraTool(Connection, BaseTool):
    """Wrong arguments and errors that the model can do something about reach it as text."""

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"
    handle_tool_error: Any = True
    handle_validation_error: Any = True
    #: Which row of the tool table this is; ``name`` may be changed freely.
    tool: str = Field("", exclude=True, repr=False)

    def _run(
        self, *, run_manager: CallbackManagerForToolRun | None = None, **arguments: Any
    ) -> tuple[list[str | dict[str, Any]], Any]:
        spec = _SPECS[self.tool]
        given = spec.arguments(**arguments)
        try:
            return self._result(run(spec, self._where, self._options(), given, run_manager))
        except HydraError as error:
            raise ToolException(error.message) from error

    async def _arun(
        self, *, run_manager: AsyncCallbackManagerForToolRun | None = None, **arguments: Any
    ) -> tuple[list[str | dict[str, Any]], Any]:
        spec = _SPECS[self.tool]
        given = spec.arguments(**arguments)
        try:
            return self._result(await arun(spec, self._where, self._options(), given, run_manager))
        except HydraError as error:
            raise ToolException(error.message) from error

    def _result(self, output: ToolOutput) -> tuple[list[str | dict[str, Any]], Any]:
        return blocks(output), documents(output, images=False)


class HydraSearchTool(_HydraTool):
    """Finds pages. The model gets text and image blocks; ``ToolMessage.artifact`` is a list of documents with
    their boxes, as :class:`~hydra_rag_agents.langchain.HydraRetriever` returns them."""

    name: str = "search_pages"
    description: str = _SPECS["search_pages"].description
    args_schema: Annotated[ArgsSchema | None, SkipValidation()] = _SPECS["search_pages"].arguments
    include_images: Images = "crops"
    tool: str = Field("search_pages", exclude=True, repr=False)


class HydraAskTool(_HydraTool):
    """The whole agent as a tool. The model gets the answer with its sources as text (and, with
    ``include_images``, images of them); ``ToolMessage.artifact`` is what ``hydra-rag ask --json`` prints
    (answer, citations with boxes, steps, session), with the cited pages under ``documents``.

    ``settings``: further settings of the agent (``pages``, ``gaze``, ``max_new_tokens``, ``threshold``...).
    """

    name: str = "ask_documents"
    description: str = _SPECS["ask_documents"].description
    args_schema: Annotated[ArgsSchema | None, SkipValidation()] = _SPECS["ask_documents"].arguments
    settings: dict[str, Any] = Field(default_factory=dict)
    tool: str = Field("ask_documents", exclude=True, repr=False)

    def _options(self, **changes: Any) -> Any:
        return super()._options(ask=self.settings, **changes)

    def _result(self, output: ToolOutput) -> tuple[list[str | dict[str, Any]], Any]:
        return blocks(output), {**output.data, "documents": documents(output, images=False)}
