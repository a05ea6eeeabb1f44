"""Clients that people point at such servers: LangChain's chat model and the `llm` command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from langchain_openai import ChatOpenAI

from tests.api.server.conftest import Running, data_uri, page_png


def blocks(message: Any, kind: str) -> list[dict[str, Any]]:
    return [block for block in message.content_blocks if block["type"] == kind]


def test_langchain_gets_file_page_and_citation(running: Running) -> None:
    chat = ChatOpenAI(
        model="hydra-rag",
        base_url=f"{running.url}/v1",
        api_key="any",
        use_responses_api=True,
        max_retries=0,
    )
    question = [
        {"type": "text", "text": "What is the total?"},
        {"type": "image_url", "image_url": {"url": data_uri(page_png())}},
    ]
    answer = chat.invoke([("user", question)])
    assert answer.text == "42 EUR"
    results = blocks(answer, "server_tool_result")
    found = results[0]["output"][0]
    assert found["filename"] == "invoice.txt"
    assert found["attributes"]["page"] == 1
    (text,) = blocks(answer, "text")
    kinds = [note["type"] for note in text["annotations"]]
    assert kinds == ["citation", "citation"]
    assert "invoice.txt" in str(text["annotations"])

    streamed = "".join(part.text for part in chat.stream("What is the total?"))
    assert streamed == "42 EUR"


def test_an_agent_of_langgraph_on_the_server(running: Running) -> None:
    """The example: two turns of one thread are one session, and the second leans on the first."""
    from examples import langgraph_agent as example

    agent = example.make_agent(running.url, max_retries=0)
    first = example.ask(agent, "What is the total?")
    assert first.text == "42 EUR"
    pages, notes = example.evidence(first)
    assert (pages[0]["file"], pages[0]["page"]) == ("invoice.txt", 1)
    boxed = [page for page in pages if "x0" in page]
    assert boxed
    assert all(page["x0"] < page["x1"] and page["y0"] < page["y1"] for page in boxed)
    assert [note["type"] for note in notes] == ["citation", "citation"]
    assert any(note.get("title") == "invoice.txt, page 1" for note in notes)

    second = example.ask(agent, "And who paid it?")
    assert second.text == "42 EUR"
    with running.client() as client:
        stored = client.get(f"/v1/responses/{second.response_metadata['id']}").json()
        name = stored["conversation"]["id"].removeprefix("conv_")
        session = client.get(f"/api/sessions/{name}").json()
    assert [one["question"] for one in session["turns"]] == ["What is the total?", "And who paid it?"]
    assert "What is the total?" in session["turns"][1]["steps"][0]["query"]


def test_a_whole_conversation_may_be_sent_back(running: Running) -> None:
    """Without server-side state, with functions on offer that this model does not call."""
    from langchain.agents import create_agent
    from langchain_core.tools import tool

    @tool
    def weather(city: str) -> str:
        """The weather of a city."""
        raise AssertionError("never called")

    chat = ChatOpenAI(
        model="hydra-rag",
        base_url=f"{running.url}/v1",
        api_key="any",
        use_responses_api=True,
        output_version="responses/v1",
        store=False,
        max_retries=0,
    )
    agent = create_agent(chat, [weather])
    talk: list[Any] = [("user", "What is the total?")]
    said = agent.invoke({"messages": talk})["messages"]
    assert [message.type for message in said] == ["human", "ai"]
    again = agent.invoke({"messages": [*said, ("user", "And who paid it?")]})["messages"]
    assert again[-1].text == "42 EUR"
    pieces = agent.stream({"messages": [*again, ("user", "And when?")]}, stream_mode="messages")
    assert "".join(piece.text for piece, _ in pieces) == "42 EUR"


def test_llm_command(running: Running, tmp_path: Path) -> None:
    image = tmp_path / "page.png"
    image.write_bytes(page_png())
    environment = {**os.environ, "LLM_USER_PATH": str(tmp_path / "llm"), "OPENAI_API_KEY": "any"}
    command = [sys.executable, "-m", "llm", "openai", "endpoint", f"{running.url}/v1"]
    for more in ((), ("-a", str(image)), ("--responses",)):
        done = subprocess.run(
            [*command, "-m", "hydra-rag", "What is the total?", *more],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        assert "42 EUR" in done.stdout
