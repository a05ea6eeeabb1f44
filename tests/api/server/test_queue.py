"""Many clients, one model: the door in front of it, and what comes out when they all talk at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hydra_rag_agents.facade import HydraRAG
from hydra_rag_api.server.admission import Admission
from hydra_rag_api.server.errors import ApiError
from hydra_rag_api.server.limits import ServerSettings
from tests.api.server.conftest import (
    Running,
    Server,
    SlowReader,
    data_uri,
    fixed,
    make_rag,
    page_png,
    wait_for,
)


async def _hold(door: Admission, tenant: str, order: list[str], until: asyncio.Event) -> None:
    async with door.enter(tenant):
        order.append(tenant)
        await until.wait()


def test_tenants_take_turns_and_the_rest_is_told_at_once() -> None:
    async def scene() -> None:
        door = Admission(running=1, waiting=4, per_tenant=4, wait_seconds=5)
        order: list[str] = []
        go = asyncio.Event()
        tasks = [asyncio.create_task(_hold(door, tenant, order, go)) for tenant in "aaaab"]
        await asyncio.sleep(0)
        assert (door.running, door.waiting) == (1, 4)
        for tenant, status in (("a", 429), ("c", 503)):
            with pytest.raises(ApiError) as refused:
                async with door.enter(tenant):
                    pass
            assert refused.value.status == status
            assert 1 <= int(refused.value.headers["Retry-After"]) <= 120
        tasks[1].cancel()
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert order[:1] == ["a"]
        assert order.index("b") <= 2
        assert (door.running, door.waiting) == (0, 0)

    asyncio.run(scene())


def test_waiting_has_an_end_and_a_closed_door_refuses_those_in_line() -> None:
    async def scene() -> None:
        door = Admission(running=1, waiting=4, per_tenant=9, wait_seconds=0.05)
        go, order = asyncio.Event(), list[str]()
        first = asyncio.create_task(_hold(door, "a", order, go))
        await asyncio.sleep(0)
        with pytest.raises(ApiError) as late:
            await _hold(door, "b", order, go)
        assert late.value.code == "queue_timeout"
        waiting = asyncio.create_task(_hold(door, "b", order, go))
        await asyncio.sleep(0)
        door.close()
        with pytest.raises(ApiError) as closed:
            await waiting
        assert closed.value.code == "shutting_down"
        go.set()
        await first
        assert (door.running, door.waiting) == (0, 0)

    asyncio.run(scene())


def test_a_full_server_refuses_over_http_and_goes_on(tmp_path: Path) -> None:
    rag = make_rag(tmp_path / "store", reader=SlowReader(fixed("word " * 10)))
    with Server(rag, ServerSettings(chat_running=1, chat_waiting=1)) as running, running.client() as client:
        running.upload(client, "a.txt", b"Some words")

        def ask(_: int) -> int:
            with running.client() as mine:
                got = mine.post("/api/ask", json={"question": "What?", "stream": False})
                assert got.status_code in (200, 503)
                if got.status_code == 503:
                    assert got.headers["retry-after"]
                    assert got.json()["error"]["code"] == "queue_full"
                return got.status_code

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, range(8)))
        assert answers.count(200) >= 2
        assert 503 in answers
        assert ask(0) == 200
        assert running.services.admission.running == 0


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A tiny random model of a supported family in place of the script."""
    from hydra_rag.testing import tiny_model

    folder = tmp_path_factory.mktemp("real")
    model = tiny_model(folder / "model")
    with Server(HydraRAG(folder / "store", str(model), device="cpu")) as running:
        yield running


def _chat(running: Running, number: int) -> dict[str, Any]:
    with running.client() as client:
        content: list[dict[str, Any]] = [{"type": "text", "text": f"Say {number}"}]
        if number % 2:
            content.append({"type": "image_url", "image_url": {"url": data_uri(page_png(str(number)))}})
        got = client.post(
            "/v1/chat/completions",
            json={
                "model": "hydra-rag-raw",
                "messages": [{"role": "user", "content": content}],
                "seed": number,
                "temperature": 1.0,
                "max_tokens": 12,
            },
        )
        assert got.status_code == 200, got.text
        made: dict[str, Any] = got.json()
        return {"message": made["choices"][0]["message"], "usage": made["usage"]}


def test_many_at_once_say_what_each_would_say_alone(real: Running) -> None:
    numbers = range(8)
    alone = [_chat(real, number) for number in numbers]
    assert len({str(one) for one in alone}) > 1
    with real.client() as client:
        text = "\n\n".join(f"Paragraph {i} of a text. " * 30 for i in range(20)).encode()
        job = client.post("/api/documents", files={"files": ("long.txt", text)}).json()["job_id"]
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(lambda number: _chat(real, number), numbers))
        assert together == alone
        assert wait_for(client, job)["state"] == "succeeded"
