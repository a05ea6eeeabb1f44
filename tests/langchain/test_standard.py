"""LangChain's own test suites, on a local engine and against a running server. Nothing overridden."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import RetrieversIntegrationTests, ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests

from hydra_rag_agents.langchain import HydraAskTool, HydraRetriever, HydraSearchTool
from tests.langchain.conftest import SHORT

pytestmark = pytest.mark.anyio


class _Retriever(RetrieversIntegrationTests):
    place: dict[str, Any]

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return HydraRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {**self.place, "k": 2}

    @property
    def retriever_query_example(self) -> str:
        return "delivery terms"


class TestRetrieverLocal(_Retriever):
    wants = "made"


class TestRetrieverServer(_Retriever):
    wants = "server"


class _Search:
    place: dict[str, Any]

    @property
    def tool_constructor(self) -> type[BaseTool] | BaseTool:
        return HydraSearchTool

    @property
    def tool_constructor_params(self) -> dict[str, Any]:
        return {**self.place, "k": 2}

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"query": "delivery terms", "k": 1}


class _Ask(_Search):
    @property
    def tool_constructor(self) -> type[BaseTool] | BaseTool:
        return HydraAskTool

    @property
    def tool_constructor_params(self) -> dict[str, Any]:
        return {**self.place, "settings": SHORT}

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"question": "How long may goods come back?"}


class TestSearchToolUnit(_Search, ToolsUnitTests):
    wants = "made"


class TestSearchToolLocal(_Search, ToolsIntegrationTests):
    wants = "made"


class TestSearchToolServer(_Search, ToolsIntegrationTests):
    wants = "server"


class TestAskToolUnit(_Ask, ToolsUnitTests):
    wants = "made"


class TestAskToolLocal(_Ask, ToolsIntegrationTests):
    wants = "made"


class TestAskToolServer(_Ask, ToolsIntegrationTests):
    wants = "server"
