"""A tiny random model with its adapter, a store of four pages, and a server over the same store."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from hydra_rag.testing import tiny_model
from hydra_rag_agents.facade import HydraRAG

#: Random models never stop by themselves.
SHORT = {"max_new_tokens": 4, "pages": 1}


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a local engine is made with: ``store`` and ``model``."""
    root = tmp_path_factory.mktemp("made")
    model = tiny_model(root / "model", "qwen2_vl")
    docs = root / "docs"
    docs.mkdir()
    for number in range(3):
        image = Image.new("RGB", (224, 280), "white")
        ImageDraw.Draw(image).text((20, 20 + 60 * number), f"Form number {number}", fill="black")
        image.save(docs / f"form{number}.png")
    (docs / "terms.txt").write_text("Delivery terms\nGoods come back within 30 days\n", encoding="utf-8")
    with HydraRAG(root / "store", str(model)) as rag:
        results: list[Any] = rag.ingest([docs], ocr="never")
        assert {result.status for result in results} == {"indexed"}
    return {"store": str(root / "store"), "model": str(model)}


@pytest.fixture(scope="session")
def server(made: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What a remote one is made with: ``url`` and ``api_key``."""
    import uvicorn

    from hydra_rag.store import keys
    from hydra_rag_api.server.app import create_app
    from hydra_rag_api.server.services import Services

    rag = HydraRAG(Path(made["store"]), made["model"])
    key = keys.create_key(rag.store, "default", "test").secret
    app = create_app(Services(rag))
    running = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=running.run)
    thread.start()
    deadline = time.monotonic() + 120
    while not (running.started and app.state.services.state == "ready"):
        assert thread.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    port = running.servers[0].sockets[0].getsockname()[1]
    yield {"url": f"http://127.0.0.1:{port}", "api_key": key}
    running.should_exit = True
    thread.join(timeout=60)


@pytest.fixture(scope="class", params=["local", "server"])
def place(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Both ways to reach the documents."""
    found: dict[str, Any] = request.getfixturevalue("made" if request.param == "local" else "server")
    return found


@pytest.fixture(scope="class", autouse=True)
def _for_the_class(request: pytest.FixtureRequest) -> None:
    """Standard suites read properties of their class, not fixtures."""
    if request.cls is not None and getattr(request.cls, "wants", None):
        request.cls.place = request.getfixturevalue(request.cls.wants)
