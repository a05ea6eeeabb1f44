"""A server in a thread, on a port of its own, with a scripted reader in place of a model."""

from __future__ import annotations

import asyncio
import base64
import io
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from PIL import Image, ImageDraw

from hydra_rag.testing_fakes import FakeEmbedder
from hydra_rag_agents.facade import HydraRAG
from hydra_rag_agents.testing import ScriptedReader, ScriptedReading
from hydra_rag_api.server.app import create_app
from hydra_rag_api.server.limits import ServerSettings
from hydra_rag_api.server.services import Services

Script = Callable[[Sequence[Image.Image], str], tuple[str, float]]


class Model(FakeEmbedder):
    def close(self) -> None:
        pass


class SlowReading(ScriptedReading):
    """Takes its time for every token, as a model does; notes when it was told to stop."""

    seconds = 0.02

    def __iter__(self) -> Iterator[Any]:
        for delta in super().__iter__():
            time.sleep(self.seconds)
            yield delta


@dataclass
class SlowReader(ScriptedReader):
    open: list[SlowReading] = field(default_factory=list)

    def read(self, images: Any, text: str, *, max_new_tokens: int, **_: Any) -> Any:  # type: ignore[override]
        answer, confidence = self.script(images, text)
        reading = SlowReading(answer, confidence, max_new_tokens, 100)
        self.open.append(reading)
        return reading


@dataclass
class Running:
    """A server that listens."""

    url: str
    services: Services
    rag: HydraRAG
    loop: asyncio.AbstractEventLoop

    def client(self, key: str | None = None, **options: Any) -> httpx2.Client:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=30, **options)

    def upload(self, client: httpx2.Client, name: str, data: bytes) -> str:
        """Upload and wait; the document's id."""
        sent = client.post("/api/documents", files={"files": (name, data)})
        assert sent.status_code == 202, sent.text
        job = wait_for(client, sent.json()["job_id"])
        assert job["state"] == "succeeded", job
        return str(job["files"][0]["document_id"])


def wait_for(client: httpx2.Client, job_id: str, seconds: float = 60) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        job: dict[str, Any] = client.get(f"/api/jobs/{job_id}").json()
        if job["state"] not in ("queued", "running"):
            return job
        time.sleep(0.05)
    raise AssertionError(f"job {job_id} does not end: {job}")


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come about in time"
        time.sleep(0.01)


class Server:
    """Runs an app in a thread: start with ``with``."""

    def __init__(self, rag: HydraRAG, settings: ServerSettings | None = None, **options: Any) -> None:
        self.rag = rag
        self.services = Services(rag, settings, **options)
        config = uvicorn.Config(
            create_app(self.services), port=0, log_config=None, access_log=False, lifespan="on"
        )
        self.server = uvicorn.Server(config)
        self._loop: list[asyncio.AbstractEventLoop] = []
        self._thread = threading.Thread(target=self._run, name="test-server")

    def _run(self) -> None:
        async def main() -> None:
            self._loop.append(asyncio.get_running_loop())
            await self.server.serve()

        asyncio.run(main())

    def __enter__(self) -> Running:
        self._thread.start()
        until(lambda: self.server.started or not self._thread.is_alive())
        until(lambda: self.services.state in ("ready", "failed"))
        port = self.server.servers[0].sockets[0].getsockname()[1]
        return Running(f"http://127.0.0.1:{port}", self.services, self.rag, self._loop[0])

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self._thread.join(timeout=60)
        assert not self._thread.is_alive()


def fixed(text: str = "42 EUR", confidence: float = 0.95) -> Script:
    return lambda images, prompt: (text, confidence)


def make_rag(
    folder: Path, script: Script | None = None, *, reader: Any = None, seconds: float = 0.0
) -> HydraRAG:
    return HydraRAG(
        folder,
        load=lambda: Model(seconds=seconds),  # type: ignore[arg-type,return-value]
        reader=reader or ScriptedReader(script or fixed()),
    )


def page_png(text: str = "Total 42 EUR", size: tuple[int, int] = (320, 440)) -> bytes:
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).text((40, 40), text, fill="black")
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def data_uri(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with one text document (a text layer with boxes) for the tests of a module."""
    with Server(make_rag(tmp_path_factory.mktemp("server") / "store")) as server:
        with server.client() as client:
            server.upload(client, "invoice.txt", b"Invoice 7\n\nTotal: 42 EUR\n\nPaid by Ada Lovelace")
        yield server


@pytest.fixture
def client(running: Running) -> Iterator[httpx2.Client]:
    with running.client() as opened:
        yield opened
