"""Clients that go away, servers that are told to stop or killed: as processes, over real connections."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from hydra_rag.store.models import JobRow
from hydra_rag.store.store import Store
from tests.api.server.conftest import until, wait_for

PROGRAM = Path(__file__).with_name("program.py")


class Process:
    """A server process over a store; its URL is known once it listens."""

    def __init__(self, store: Path, *options: str) -> None:
        command = [sys.executable, str(PROGRAM), str(store), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the server did not start"
        self.url: str = json.loads(line)["url"]
        self.client = httpx2.Client(base_url=self.url, timeout=120)
        until(lambda: self.client.get("/readyz").status_code == 200, 240)

    def end(self, number: int = signal.SIGKILL) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(timeout=60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.client.close()
        return self.process.returncode

    def running(self) -> int:
        """Questions that are worked on."""
        for line in self.client.get("/metrics").text.splitlines():
            if line.startswith("hydra_rag_questions_running "):
                return int(float(line.split()[1]))
        raise AssertionError("no such figure")

    def upload(self, name: str, data: bytes) -> dict[str, Any]:
        sent = self.client.post("/api/documents", files={"files": (name, data)})
        assert sent.status_code == 202
        answer: dict[str, Any] = sent.json()
        return answer


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    made: list[Process] = []

    def begin(*options: str) -> Process:
        made.append(Process(tmp_path / "store", *options))
        return made[-1]

    yield begin
    for one in made:
        one.end()


def begin_answer(server: Process, path: str = "/api/ask", **body: Any) -> socket.socket:
    """Ask over a bare socket and read until the first pieces of the answer have come."""
    host, port = server.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    data = json.dumps(body or {"question": "What does it say?"}).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(data)}\r\n\r\n"
    )
    connection.sendall(head.encode() + data)
    return connection


def read_until(connection: socket.socket, mark: bytes) -> bytes:
    got = b""
    while mark not in got:
        piece = connection.recv(65_536)
        assert piece, got[-2000:]
        got += piece
    return got


def long_answer(start: Callable[..., Process], *more: str) -> Process:
    server = start("--text-length", "2000", "--token-seconds", "0.02", *more)
    wait_for(server.client, server.upload("a.txt", b"Some words about something")["job_id"])
    return server


def statuses(server: Process) -> list[str]:
    sessions = server.client.get("/api/sessions").json()["sessions"]
    return [
        turn["status"]
        for session in sessions
        for turn in server.client.get(f"/api/sessions/{session['session_id']}").json()["turns"]
    ]


def job_states(store: Path) -> list[str]:
    """Of the jobs in the store, oldest first; no server runs."""
    with Store.open(store) as opened, opened.session() as db:
        return list(db.scalars(select(JobRow.state).order_by(JobRow.id)))


def test_a_client_that_goes_away_frees_the_model(start: Callable[..., Process]) -> None:
    server = long_answer(start)
    whole = {"model": "hydra-rag", "messages": [{"role": "user", "content": "What does it say?"}]}
    asks = [
        ("/api/ask", {"question": "What does it say?"}, b"event: delta"),
        ("/api/ask", {"question": "What does it say?", "stream": False}, None),
        ("/v1/chat/completions", {**whole, "stream": True}, b"chat.completion.chunk"),
        ("/v1/chat/completions", whole, None),
        ("/v1/responses", {"model": "hydra-rag", "input": "What?", "stream": True}, b"response.created"),
    ]
    for path, body, mark in asks:
        with begin_answer(server, path, **body) as connection:
            if mark is not None:
                read_until(connection, mark)
            until(lambda: server.running() == 1)
        left = time.monotonic()
        until(lambda: server.running() == 0)
        assert time.monotonic() - left < 20, path  # the whole answer would take 40 seconds
    # Three of the five are kept (the chat endpoint is stateless), and stored before their place is free.
    assert statuses(server) == ["interrupted"] * 3
    assert server.end(signal.SIGTERM) == 0


def test_stopping_drains_and_tells(start: Callable[..., Process]) -> None:
    server = long_answer(start, "--drain-seconds", "4")
    with begin_answer(server) as connection:
        read_until(connection, b"event: delta")
        server.process.send_signal(signal.SIGTERM)
        # A short while the server still answers, with refusals.
        until(lambda: server.client.get("/readyz").status_code == 503)
        refused = server.client.post("/api/search", json={"query": "words"})
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        rest = read_until(connection, b"event: error")
        rest += b"" if b"shutting_down" in rest else connection.recv(65_536)
        assert b"shutting_down" in rest
    assert server.process.wait(timeout=30) == 0
    again = start()
    assert statuses(again) == ["interrupted"]


def test_an_answer_in_time_comes_whole_while_stopping(start: Callable[..., Process]) -> None:
    server = start("--text-length", "60", "--token-seconds", "0.02", "--drain-seconds", "20")
    wait_for(server.client, server.upload("a.txt", b"Some words about something")["job_id"])
    with begin_answer(server) as connection:
        got = read_until(connection, b"event: delta")
        server.process.send_signal(signal.SIGTERM)
        got += read_until(connection, b"event: done")
    assert b"event: answer" in got
    assert server.process.wait(timeout=30) == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_ingest_goes_on_after_the_end_of_the_process(
    start: Callable[..., Process], tmp_path: Path, number: int
) -> None:
    server = start("--page-seconds", "0.1")
    first = server.upload("first.txt", b"The first one")
    wait_for(server.client, first["job_id"])
    text = "\n\n".join(f"Paragraph {i} of a long text. " * 30 for i in range(60)).encode()
    job = server.upload("long.txt", text)
    queued = server.upload("last.txt", b"The last one")
    until(lambda: server.client.get(f"/api/jobs/{job['job_id']}").json()["state"] == "running", 120)
    time.sleep(0.3)
    assert server.end(number) in (0, -signal.SIGKILL)
    if number == signal.SIGTERM:
        assert job_states(tmp_path / "store") == ["done", "queued", "queued"]  # put back
    again = start()
    for one in (first, job, queued):
        assert wait_for(again.client, one["job_id"])["state"] == "succeeded"
    names = [d["document"] for d in again.client.get("/api/documents").json()["documents"]]
    assert sorted(names) == ["first.txt", "last.txt", "long.txt"]


def test_a_kill_in_mid_answer_leaves_an_interrupted_turn(start: Callable[..., Process]) -> None:
    server = long_answer(start)
    done = server.client.post(
        "/api/ask", json={"question": "Short?", "max_new_tokens": 3, "stream": False}
    ).json()
    with begin_answer(server) as connection:
        read_until(connection, b"event: delta")
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait(timeout=30)
    again = start()
    assert sorted(statuses(again)) == sorted(["interrupted", done["status"]])


def test_cancelled_ingest_leaves_nothing(start: Callable[..., Process]) -> None:
    server = start("--page-seconds", "0.2")
    text = "\n\n".join(f"Paragraph {i} of a long text. " * 30 for i in range(60)).encode()
    job, queued = server.upload("long.txt", text), server.upload("last.txt", b"The last one")
    path = f"/api/jobs/{job['job_id']}"
    until(lambda: server.client.get(path).json()["state"] == "running", 120)
    assert server.client.delete(f"/api/jobs/{queued['job_id']}").json()["state"] == "cancelled"
    server.client.delete(path)
    assert wait_for(server.client, job["job_id"])["state"] == "cancelled"
    assert server.client.get("/api/documents").json()["documents"] == []
    fresh = server.upload("again.txt", b"Another one")
    assert wait_for(server.client, fresh["job_id"])["state"] == "succeeded"
