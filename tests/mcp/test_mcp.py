"""The official client in memory, over standard input and output, and over HTTP."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx2
import pytest
import uvicorn
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from hydra_rag.store import keys
from hydra_rag_agents.facade import HydraRAG
from hydra_rag_agents.sources import LocalSource
from hydra_rag_agents.tool_values import Options
from hydra_rag_api.mcp_server import in_threads, make_server
from hydra_rag_api.server.app import create_app
from hydra_rag_api.server.services import Services
from tests.mcp.checks import check_asking, check_reading, check_wrong

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_in_memory(rag: HydraRAG, mode: str) -> None:
    server = make_server(in_threads(LocalSource(lambda: rag), Options()))
    async with Client(server, mode=mode) as client:
        await check_reading(client)
        await check_wrong(client)
        await check_asking(client)


async def test_a_crash_is_told_without_its_text(rag: HydraRAG) -> None:
    def broken() -> HydraRAG:
        raise RuntimeError("/secret/place")

    async with Client(make_server(in_threads(LocalSource(broken), Options()))) as client:
        result = await client.call_tool("list_documents", {})
    assert result.is_error
    assert "/secret/place" not in str(result.content)


async def test_many_documents_are_listed_in_parts(rag: HydraRAG, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hydra_rag_agents.tools.MOST_DOCUMENTS", 1)
    async with Client(make_server(in_threads(LocalSource(lambda: rag), Options()))) as client:
        first = await client.call_tool("list_documents", {})
        (one,) = first.structured_content["documents"]
        assert first.structured_content["more"] == 1
        assert f"after={one['document_id']}" in first.content[0].text
        rest = await client.call_tool("list_documents", {"after": one["document_id"]})
        (other,) = rest.structured_content["documents"]
        assert other["document_id"] > one["document_id"]
        assert rest.structured_content["more"] == 0


async def test_over_standard_input_and_output(rag: HydraRAG) -> None:
    """The command itself, on a store that another process has made; the model is not needed for these."""
    rag.close()
    program = [
        "-W", "error", "-c", "from hydra_rag_api.cli import main; main()",
        "mcp", "--store", str(rag.directory), "--model", str(rag.directory / "none"),
    ]  # fmt: skip
    transport = stdio_client(StdioServerParameters(command=sys.executable, args=program))
    async with Client(transport) as client:
        listed = await client.call_tool("list_documents", {})
        assert len(listed.structured_content["documents"]) == 2
        looked = await client.call_tool("look_at", {"document": "form.png", "page": 1})
        assert [part.type for part in looked.content] == ["text", "image"]
        lost = await client.call_tool("search_pages", {"query": "goods"})
        assert lost.is_error  # no model is there
        assert not (await client.call_tool("list_documents", {})).is_error


@contextmanager
def served(rag: HydraRAG, **options: Any) -> Iterator[str]:
    services = Services(rag, **options)
    app = create_app(services)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 60
    while not (server.started and services.state == "ready"):
        assert thread.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/mcp"
    finally:
        server.should_exit = True
        thread.join(timeout=60)


@asynccontextmanager
async def with_key(url: str, key: str) -> AsyncIterator[Any]:
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as client:
        yield streamable_http_client(url, http_client=client)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_over_http_with_a_key(rag: HydraRAG, mode: str) -> None:
    mine = keys.create_key(rag.store, "default", "mine").secret
    others = keys.create_key(rag.store, "other", "others").secret
    assert mine is not None
    assert others is not None
    with served(rag) as url:
        async with with_key(url, mine) as transport, Client(transport, mode=mode) as client:
            await check_reading(client)
            await check_wrong(client)
            await check_asking(client)
        async with with_key(url, others) as transport, Client(transport, mode=mode) as client:
            listed = await client.call_tool("list_documents", {})
            assert listed.structured_content == {"documents": [], "more": 0}
            assert (await client.call_tool("look_at", {"document": "form.png", "page": 1})).is_error


async def test_without_a_key_nothing_answers(rag: HydraRAG) -> None:
    keys.create_key(rag.store, "default", "mine")
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    accept = {"Accept": "application/json, text/event-stream"}
    with served(rag) as url:
        async with httpx2.AsyncClient() as client:
            for headers in ({}, {"Authorization": "Bearer hyd_wrong"}, {"Mcp-Session-Id": "1"}):
                for method in ("GET", "POST", "DELETE"):
                    answer = await client.request(method, url, headers={**accept, **headers}, json=call)
                    assert answer.status_code == 401, (method, headers)
        with pytest.raises(BaseExceptionGroup) as raised:
            async with Client(url):
                pass
    assert raised.group_contains(Exception)
