"""Many clients, one model: the door in front of it."""

from __future__ import annotations

import asyncio
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from hydra_rag.store import keys
from hydra_rag_api.server.admission import Admission, OneByOne
from hydra_rag_api.server.errors import ApiError
from hydra_rag_api.server.guard import Guard
from hydra_rag_api.server.limits import ServerSettings
from tests.api.server.conftest import Server, SlowReader, fixed, make_rag


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


def test_one_goes_on_in_each_round_of_the_loop() -> None:
    async def scene() -> None:
        turns, order = OneByOne(), list[str]()

        async def enter(name: str) -> None:
            await turns()
            order.append(name)

        def heard(left: int) -> None:  # what sockets bring is called once a round, like this
            order.append("-")
            if left:
                loop.call_soon(heard, left - 1)

        loop = asyncio.get_running_loop()
        tasks = [asyncio.create_task(enter(name)) for name in "abcd"]
        await asyncio.sleep(0)
        tasks[1].cancel()
        loop.call_soon(heard, 8)
        await asyncio.gather(*tasks, return_exceptions=True)
        said = "".join(order)
        assert said.replace("-", "") == "acd"
        assert "ac" not in said
        assert "cd" not in said
        await enter("e")  # whoever comes alone later, too
        assert order[-1] == "e"

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


def test_a_refusal_of_somebody_known_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No look-up in the store, and what was sent is not read; whoever is not known is looked up first."""
    rag = make_rag(tmp_path / "store")
    key = keys.create_key(rag.store, "acme", "test").secret
    with Server(rag, ServerSettings(chat_running=1, chat_waiting=1)) as running, running.client() as client:
        door = running.services.admission
        monkeypatch.setattr(door, "running", door._most)
        monkeypatch.setattr(door, "_most_waiting", 0)
        looked_up: list[str | None] = []
        real = Guard._look_up
        monkeypatch.setattr(
            Guard, "_look_up", lambda self, token: looked_up.append(token) or real(self, token)
        )

        def ask(token: str, **more: Any) -> httpx2.Response:
            return client.post("/v1/chat/completions", headers={"Authorization": f"Bearer {token}"}, **more)

        assert ask("hyd_wrong", json={}).status_code == 401
        good = {"model": "hydra-rag", "messages": [{"role": "user", "content": "What?"}]}
        assert ask(key, json=good).status_code == 503
        assert looked_up == ["hyd_wrong", key]
        for content in (b"no json", b"x" * (5 << 20), json.dumps(good).encode()):
            refused = ask(key, content=content)
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "queue_full")
            assert int(refused.headers["retry-after"]) >= 1
        assert ask("hyd_wrong", json=good).status_code == 401
        assert client.get("/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code == 200
        assert looked_up[2:] == ["hyd_wrong", key]


def test_whoever_still_sends_holds_no_place(tmp_path: Path) -> None:
    rag = make_rag(tmp_path / "store")
    with Server(rag, ServerSettings(chat_running=1, chat_waiting=0)) as running, running.client() as client:
        body = json.dumps({"model": "hydra-rag", "messages": [{"role": "user", "content": "What?"}]}).encode()
        kind = {"Content-Type": "application/json"}
        with socket.create_connection((client.base_url.host, client.base_url.port or 80)) as slow:
            head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {client.base_url.host}\r\n"
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            slow.sendall(head.encode() + body[:-1])
            for _ in range(2):
                got = client.post("/v1/chat/completions", content=body, headers=kind)
                assert got.status_code == 200
            assert running.services.admission.running == 0
            slow.sendall(body[-1:])
            assert slow.recv(12) == b"HTTP/1.1 200"


def test_a_full_server_refuses_over_http_and_goes_on(tmp_path: Path) -> None:
    rag = make_rag(tmp_path / "store", reader=SlowReader(fixed("word " * 10)))
    with Server(rag, ServerSettings(chat_running=1, chat_waiting=1)) as running, running.client() as client:
        running.upload(client, "a.txt", b"Some words")

        def ask(number: int) -> int:
            """Refusals have a status of their own, also where the answer would be a stream."""
            chat = {"model": "hydra-rag", "messages": [{"role": "user", "content": "What?"}]}
            path, body = [
                ("/api/ask", {"question": "What?", "stream": False}),
                ("/api/ask", {"question": "What?"}),
                ("/v1/chat/completions", {**chat, "stream": True}),
                ("/v1/responses", {"model": "hydra-rag", "input": "What?", "stream": True}),
            ][number % 4]
            with running.client() as mine:
                got = mine.post(path, json=body)
                assert got.status_code in (200, 503)
                if got.status_code == 503:
                    assert got.headers["retry-after"]
                    assert got.json()["error"]["code"] == "queue_full"
                else:
                    assert "queue_full" not in got.text
                return got.status_code

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, range(8)))
        assert answers.count(200) >= 2
        assert 503 in answers
        assert ask(0) == 200
        assert running.services.admission.running == 0
