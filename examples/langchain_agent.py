"""An agent that looks at documents: `create_agent` with the search and the ask tool.

    pip install 'hydra-rag[cpu,langchain]' langchain
    hydra-rag ingest examples/documents
    python examples/langchain_agent.py --store ~/.local/share/hydra_rag/store

Without --chat a scripted stand-in for a chat model calls each tool once, so that the example runs without any
account. With --chat any model that LangChain knows takes its place (`--chat openai:gpt-5` needs
langchain-openai and a key; name a model that accepts images in tool messages).
"""

from __future__ import annotations

import argparse
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field

from hydra_rag_agents.langchain import HydraAskTool, HydraSearchTool


class ScriptedChat(BaseChatModel):
    """Says the lines it was given, one a turn, and remembers what it was shown."""

    lines: list[AIMessage]
    seen: list[list[BaseMessage]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **options: Any) -> Any:
        return self

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **options: Any
    ) -> ChatResult:
        line = self.lines[len(self.seen)]
        self.seen.append(list(messages))
        return ChatResult(generations=[ChatGeneration(message=line)])


def script(question: str) -> ScriptedChat:
    def call(name: str, number: int, **arguments: Any) -> AIMessage:
        return AIMessage(content="", tool_calls=[{"name": name, "args": arguments, "id": str(number)}])

    return ScriptedChat(
        lines=[
            call("search_pages", 1, query=question, k=1),
            call("ask_documents", 2, question=question),
            AIMessage(content="That is what the documents say."),
        ]
    )


def run(
    where: dict[str, Any], question: str, chat: Any = None, settings: dict[str, Any] | None = None
) -> list[Any]:
    """Ask the agent; returns its messages. ``where``: ``store=``, ``model=``, or ``url=``, ``api_key=``."""
    tools = [HydraSearchTool(**where), HydraAskTool(**where, settings=settings or {})]
    agent = create_agent(
        chat or script(question),
        tools,
        system_prompt="Answer from the user's documents: search first, look at the images, name sources.",
    )
    messages: list[Any] = agent.invoke({"messages": [("user", question)]})["messages"]
    return messages


def show(messages: list[Any]) -> None:
    for message in messages:
        print(f"[{message.type}] {message.text}".rstrip())
        if isinstance(message, ToolMessage):
            kinds = [block["type"] for block in message.content if isinstance(block, dict)]
            print(f"    blocks for the model: {kinds}")
            found = (
                message.artifact["documents"]
                if isinstance(message.artifact, dict)
                else message.artifact or []
            )
            for document in found:
                print(f"    evidence: {document.id} {document.metadata['regions']}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="An agent over hydra_rag's tools.")
    parser.add_argument("question", nargs="?", default="What is the total amount due?")
    parser.add_argument("--store", help="folder of a store")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--url", help="or the address of `hydra-rag serve`")
    parser.add_argument("--api-key")
    parser.add_argument("--chat", help="a chat model, such as openai:gpt-5")
    given = parser.parse_args()
    place = (
        {"url": given.url, "api_key": given.api_key}
        if given.url
        else {"store": given.store, "model": given.model}
    )
    show(run(place, given.question, given.chat))
