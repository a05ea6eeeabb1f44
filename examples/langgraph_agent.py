"""A LangGraph agent whose chat model is this project's own server; the conversation is kept in its store.

    pip install 'hydra-rag[cpu,server]' langchain langchain-openai
    hydra-rag ingest examples/documents
    hydra-rag serve &
    python examples/langgraph_agent.py

The server looks at the documents and answers; `ChatOpenAI` speaks to it through `/v1/responses`, so what was
searched arrives as tool results (file, page, score, box) and the places that were read as citations.
`use_previous_response_id` sends only what is new: the server knows the rest, and so do the web page and
`hydra-rag sessions`.
"""

from __future__ import annotations

import argparse
from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver


def make_agent(url: str, api_key: str | None = None, collection: str = "default", **options: Any) -> Any:
    """The agent: one model, no function tools, LangGraph's own memory for the thread."""
    chat = ChatOpenAI(
        model="hydra-rag",
        base_url=f"{url.rstrip('/')}/v1",
        api_key=api_key or "none",
        use_responses_api=True,
        use_previous_response_id=True,
        **options,
    )
    search = {"type": "file_search", "vector_store_ids": [f"vs_{collection}"], "max_num_results": 5}
    return create_agent(chat, [search], checkpointer=InMemorySaver())


def ask(agent: Any, question: str, thread: str = "1") -> AIMessage:
    config = {"configurable": {"thread_id": thread}}
    message = agent.invoke({"messages": [("user", question)]}, config)["messages"][-1]
    assert isinstance(message, AIMessage)
    return message


def evidence(message: AIMessage) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The pages that were found, best first, and the citations of the answer."""
    blocks: list[Any] = message.content_blocks
    pages = [
        {"file": hit["filename"], "score": hit["score"], **hit["attributes"]}
        for block in blocks
        if block["type"] == "server_tool_result"
        for hit in block["output"]
    ]
    notes = [note for block in blocks if block["type"] == "text" for note in block.get("annotations", ())]
    return pages, notes


def show(message: AIMessage) -> None:
    pages, notes = evidence(message)
    print(message.text)
    for page in pages:
        print(f"    found: {page['file']}, page {page['page']:.0f}, score {page['score']:.3f}")
    for note in notes:
        print(f"    cited: {note.get('title')} {note.get('url', '')}".rstrip())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Talk to a running server through LangGraph.")
    parser.add_argument("questions", nargs="*", default=["What is the total amount due?", "And the date?"])
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--api-key")
    parser.add_argument("--collection", default="default")
    given = parser.parse_args()
    agent = make_agent(given.url, given.api_key, given.collection)
    for question in given.questions:
        print(f"> {question}")
        show(ask(agent, question))
