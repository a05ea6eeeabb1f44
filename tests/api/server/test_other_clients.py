"""Clients that people point at such servers: LangChain's chat model and the `llm` command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.api.server.conftest import Running, data_uri, page_png


def blocks(message: Any, kind: str) -> list[dict[str, Any]]:
    return [block for block in message.content_blocks if block["type"] == kind]


def test_langchain_gets_file_page_and_citation(running: Running) -> None:
    module = pytest.importorskip("langchain_openai")
    chat = module.ChatOpenAI(
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


def test_llm_command(running: Running, tmp_path: Path) -> None:
    pytest.importorskip("llm")
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
