"""What must hold over every transport, told to the official client."""

from __future__ import annotations

import base64
import io
from typing import Any

from mcp import Client
from PIL import Image

TOOLS = {"search_pages", "look_at", "ask_documents", "list_documents"}


def text_of(result: Any) -> str:
    return "\n".join(part.text for part in result.content if part.type == "text")


def images_of(result: Any) -> list[Image.Image]:
    parts = [part for part in result.content if part.type == "image"]
    assert all(part.mime_type == "image/png" for part in parts)
    return [Image.open(io.BytesIO(base64.b64decode(part.data))) for part in parts]


async def check_reading(client: Client) -> None:
    """Listing, search, and looking at pages."""
    tools = (await client.list_tools()).tools
    assert {tool.name for tool in tools} == TOOLS
    assert all(tool.description and tool.input_schema["type"] == "object" for tool in tools)

    listed = (await client.call_tool("list_documents", {})).structured_content["documents"]
    names = {info["document"]: info["document_id"] for info in listed}
    assert set(names) == {"form.png", "terms.txt"}

    found = await client.call_tool("search_pages", {"query": "goods come back", "k": 2})
    assert not found.is_error
    assert len(images_of(found)) == 2
    assert "within 30 days" in text_of(found)
    assert found.structured_content["pages"][0]["document"] == "terms.txt"

    page = await client.call_tool("look_at", {"document": "form.png", "page": 1})
    assert images_of(page)[0].size == (320, 440)
    box = [64, 128, 128, 192]
    closer = await client.call_tool("look_at", {"document": names["form.png"], "page": 1, "box": box})
    assert closer.structured_content["shown"] == box
    picture = images_of(closer)[0].convert("RGB")
    assert picture.width == picture.height >= 64
    assert picture.getpixel((picture.width // 2, picture.height // 2)) == (255, 0, 0)


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("search_pages", {}, "query"),
    ("search_pages", {"query": "x", "k": 0}, "k"),
    ("search_pages", {"query": "   "}, "query"),
    ("search_pages", {"query": "x", "colour": "red"}, "colour"),
    ("search_pages", {"query": "x", "documents": ["nothing.pdf"]}, "nothing.pdf"),
    ("look_at", {"document": "form.png"}, "page"),
    ("look_at", {"document": "form.png", "page": 9}, "no page 9"),
    ("look_at", {"document": "nothing.pdf", "page": 1}, "nothing.pdf"),
    ("look_at", {"document": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "page": 1}, "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
    ("look_at", {"document": "form.png", "page": 1, "box": [1, 2, 3]}, "box"),
    ("look_at", {"document": "form.png", "page": 1, "box": [9000, 0, 9100, 50]}, "pixels"),
    ("look_at", {"document": "form.png", "page": 1, "box": [50, 50, 20, 20]}, "pixels"),
    ("ask_documents", {"question": 7}, "question"),
    ("ask_documents", {"question": "x", "session_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}, "session"),
    ("no_such_tool", {}, "no_such_tool"),
]


async def check_wrong(client: Client) -> None:
    """Wrong arguments come back as errors of the tool, and the connection goes on."""
    for tool, arguments, told in WRONG:
        result = await client.call_tool(tool, arguments)
        assert result.is_error, (tool, arguments)
        assert told in text_of(result), text_of(result)
    assert not (await client.call_tool("list_documents", {})).is_error


async def check_asking(client: Client) -> None:
    heard: list[str] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        heard.append(str(message))

    question = {"question": "How long may goods come back?", "documents": ["*.txt"]}
    answer = await client.call_tool("ask_documents", question, progress_callback=progress)
    assert not answer.is_error, text_of(answer)
    data = answer.structured_content
    assert (data["status"], data["answer"]) == ("answered", "30 days")
    assert data["citations"][0]["document"] == "terms.txt"
    assert data["citations"][0]["box"] is not None
    assert "Source: terms.txt, page 1" in text_of(answer)
    assert "search" in heard
    again = {"question": "And who pays?", "session_id": data["session_id"]}
    more = (await client.call_tool("ask_documents", again)).structured_content
    assert more["session_id"] == data["session_id"]
