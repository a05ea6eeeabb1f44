"""What a user of LangChain sees: documents, blocks, artifacts, progress, errors; local and remote alike."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import pickle
import subprocess
import sys
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.messages import ToolMessage
from PIL import Image

from examples.langchain_agent import run, script
from hydra_rag.errors import HydraError, NotFoundError, UsageError
from hydra_rag.geometry import Box
from hydra_rag_agents.langchain import HydraAskTool, HydraRetriever, HydraSearchTool
from tests.langchain.conftest import SHORT

pytestmark = pytest.mark.anyio


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_call", "id": "1", "name": name, "args": arguments}


def test_nothing_is_loaded_by_import_or_construction() -> None:
    code = (
        "import sys\nfrom hydra_rag_agents.langchain import *\n"
        "HydraRetriever(store='none'), HydraSearchTool(url='http://a:1'), HydraAskTool(store='none')\n"
        "heavy = ('torch', 'transformers', 'faiss', 'sqlalchemy', 'langchain', 'mcp')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _words_in(place: dict[str, Any], page: dict[str, Any], box: list[int]) -> str:
    """What the page's text layer says inside ``box``."""
    source = HydraSearchTool(**place)._where()
    return source.page(page["document_id"], page["page"] + 1).text_in(Box(*box))


def test_documents_say_where_they_are(place: dict[str, Any]) -> None:
    page = HydraRetriever(**place, k=1, include_images="page").invoke("goods come back")[0]
    data = page.metadata
    assert page.id == f"{data['document_id']}:1"
    assert "within 30 days" in page.page_content
    assert (data["document"], data["page"], data["page_label"], data["total_pages"]) == (
        "terms.txt",
        0,
        "1",
        1,
    )
    assert data["source"].endswith("terms.txt")
    assert data["score"] > 0
    for region in data["regions"]:
        left, top, right, bottom = region["box"]
        assert 0 <= left < right <= data["width"]
        assert 0 <= top < bottom <= data["height"]
        sizes = (data["width"], data["height"]) * 2
        assert region["bbox"] == pytest.approx(
            [v / s for v, s in zip(region["box"], sizes, strict=True)], abs=1e-5
        )
    assert _words_in(place, data, data["regions"][0]["box"]) == "Goods come back within 30 days"
    assert data["bbox"] == data["regions"][0]["bbox"]
    picture = Image.open(io.BytesIO(base64.b64decode(data["images"][0]["base64"])))
    assert max(picture.size) <= 1024
    json.dumps(data)


def test_local_and_remote_agree(made: dict[str, Any], server: dict[str, Any]) -> None:
    def found(place: dict[str, Any]) -> list[Any]:
        pages = HydraRetriever(**place, k=4).invoke("form number")
        return [(p.id, p.page_content, p.metadata["regions"], p.metadata["width"]) for p in pages]

    assert found(made) == found(server)


def test_narrowing(place: dict[str, Any]) -> None:
    retriever = HydraRetriever(**place, k=4)
    names = lambda **more: {p.metadata["document"] for p in retriever.invoke("form", **more)}  # noqa: E731
    assert len(names()) == 4
    assert names(documents=["*.txt"]) == {"terms.txt"}
    assert names(filter={"document": ["form1.png", "form2.png"]}) == {"form1.png", "form2.png"}
    assert names(filter={"document": "none.png"}) == set()
    assert names(score_threshold=1e9) == set()
    with pytest.raises(NotFoundError, match=r"none\.pdf"):
        names(documents=["none.pdf"])
    with pytest.raises(UsageError, match="colour"):
        names(filter={"colour": "red"})
    with pytest.raises(UsageError, match="k: "):
        names(k=0)


def test_exactly_one_place_must_be_named() -> None:
    for given in (
        {},
        {"store": "a", "url": "http://b"},
        {"store": "a", "api_key": "k"},
        {"store": "a", "bogus": 1},
    ):
        for kind in (HydraRetriever, HydraSearchTool, HydraAskTool):
            with pytest.raises(ValueError, match=r"store=|api_key|bogus"):
                kind(**given)


def test_pickles_find_the_same(place: dict[str, Any]) -> None:
    retriever = HydraRetriever(**place, k=1)
    before = retriever.invoke("goods come back")
    copy = pickle.loads(pickle.dumps(retriever))
    assert copy.invoke("goods come back") == before
    tool = pickle.loads(pickle.dumps(HydraSearchTool(**place)))
    assert tool.invoke({"query": "goods come back", "k": 1})


def test_text_and_images_reach_the_model(place: dict[str, Any]) -> None:
    message = HydraSearchTool(**place, k=2).invoke(call("search_pages", query="goods come back"))
    assert isinstance(message, ToolMessage)
    kinds = [block["type"] for block in message.content_blocks]
    assert kinds == ["text", "image", "text", "image"]
    assert message.artifact[0].metadata["document"] == "terms.txt"
    assert all("images" not in d.metadata for d in message.artifact)


def test_the_agent_sees_what_the_tools_found(place: dict[str, Any]) -> None:
    chat = script("goods come back")
    messages = run(place, "goods come back", chat, SHORT)
    shown = chat.seen[1][-1]
    assert isinstance(shown, ToolMessage)
    assert [block["type"] for block in shown.content_blocks] == ["text", "image"]
    answer = messages[-2].artifact
    assert answer["status"] in ("answered", "not_found")
    assert [step["action"] for step in answer["steps"]][-1] == "answer"
    for document in answer["documents"]:
        assert document.metadata["regions"] or not any(c["box"] for c in answer["citations"])


def test_errors_reach_the_model_as_text(place: dict[str, Any]) -> None:
    tool = HydraSearchTool(**place)
    for arguments in (
        {},
        {"query": ""},
        {"query": "x", "k": 1000},
        {"query": "x", "documents": ["none.pdf"]},
    ):
        message = tool.invoke(call("search_pages", **arguments))
        assert message.status == "error", arguments


async def test_progress_is_told(place: dict[str, Any]) -> None:
    class Sync(BaseCallbackHandler):
        def __init__(self) -> None:
            self.heard: list[str] = []

        def on_custom_event(self, name: str, data: Any, **_: Any) -> None:
            self.heard.append(name)

    class Async(AsyncCallbackHandler):
        def __init__(self) -> None:
            self.heard: list[str] = []

        async def on_custom_event(self, name: str, data: Any, **_: Any) -> None:
            self.heard.append(name)

    tool = HydraAskTool(**place, settings=SHORT)
    question = {"question": "How long may goods come back?"}
    first, second = Sync(), Async()
    tool.invoke(question, {"callbacks": [first]})
    await tool.ainvoke(question, {"callbacks": [second]})
    for heard in (first.heard, second.heard):
        assert heard[0] == "hydra_started"
        assert heard.count("hydra_step") >= 2


async def test_questions_can_go_on_and_be_cancelled(place: dict[str, Any]) -> None:
    tool = HydraAskTool(**place, settings=SHORT)
    first = (await tool.ainvoke(call("ask_documents", question="Goods?"))).artifact
    more = call("ask_documents", question="And who pays?", session_id=first["session_id"])
    assert (await tool.ainvoke(more)).artifact["session_id"] == first["session_id"]
    endless = HydraAskTool(**place, settings={"max_new_tokens": 2000, "pages": 1})
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(endless.ainvoke({"question": "Goods?"}), 0.5)
    assert (await tool.ainvoke(call("ask_documents", question="Goods?"))).artifact["turn_id"]


def test_a_server_that_is_not_there_or_does_not_know_us(server: dict[str, Any]) -> None:
    with pytest.raises(HydraError, match="hydra-rag serve"):
        HydraRetriever(url="http://127.0.0.1:9").invoke("x")
    with pytest.raises(HydraError) as raised:
        HydraRetriever(url=server["url"], api_key="hyd_wrong").invoke("x")
    assert raised.value.code == "invalid_api_key"
    assert "hyd_wrong" not in repr(HydraRetriever(url=server["url"], api_key="hyd_wrong"))
