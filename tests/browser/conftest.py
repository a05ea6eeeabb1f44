"""A real Chromium and a server of our own for every test. Any complaint of the browser fails the test.

Left out unless asked for (``make test-browser``, ``pytest -m browser``, ``pytest tests/browser``).
"""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.fake_world import World

_HERE = Path(__file__).parent
_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
#: No sandbox (containers have no user namespaces), and no talk with the makers of the browser.
_FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --font-render-hinting=none"
).split()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker("browser")
    if "browser" in (config.option.markexpr or "") or any("browser" in arg for arg in config.args):
        return
    left_out = [item for item in items if item.get_closest_marker("browser")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _chromium() -> str:
    named = os.environ.get("CHROMIUM")
    for name in (named,) if named else _NAMES:
        if found := shutil.which(name):
            return found
    pytest.fail("No Chromium found: run `make test-browser`, or name one in CHROMIUM.", pytrace=False)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.fail("The browser tests need playwright: pip install -e '.[browser,server]'", pytrace=False)
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=_chromium(), args=_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Any], str]]:
    """Serves apps on loopback until the test ends; returns the address."""
    import uvicorn

    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(app: Any) -> str:
        door = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1, lifespan="on")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([door],), daemon=True)
        thread.start()
        running.append((server, thread))
        deadline = time.monotonic() + 20
        while not server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)
        return f"http://127.0.0.1:{door.getsockname()[1]}/"

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def world() -> World:
    """Two documents, three pages."""
    made = World()
    made.add("invoice.pdf", 2)
    made.add("letter.pdf", 1)
    return made


@pytest.fixture
def site(serve: Callable[[Any], str], world: World) -> str:
    from tests.browser.fake_server import make_app

    return serve(make_app(world))


class Complaints(list[str]):
    """What the console said. ``expected``: parts of messages that a test causes on purpose."""

    def __init__(self) -> None:
        super().__init__()
        self.expected: list[str] = []

    def heard(self, message: Any) -> None:
        self.append(f"{message.text} {(message.location or {}).get('url', '')}".strip())

    def left(self) -> list[str]:
        return [text for text in self if not any(part in text for part in self.expected)]


@pytest.fixture
def complaints() -> Complaints:
    return Complaints()


@pytest.fixture
def open_page(browser: Any, complaints: Complaints, serve: object) -> Iterator[Callable[..., Any]]:
    """Opens an address in a fresh profile and waits until the page is there. Afterwards: an empty console,
    nothing that the content security policy had to stop, and no request to anybody else."""
    # ``serve`` is named so that pages close before their server does.
    contexts = []
    strangers: list[str] = []

    def start(
        address: str, *, width: int = 1400, height: int = 900, ready: bool = True, **options: Any
    ) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(45_000)  # a first question loads libraries; the machine may be busy
        contexts.append(context)
        page, home = context.new_page(), address.partition("#")[0]
        page.on("console", lambda m: complaints.heard(m) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda r: None if r.url.startswith((home, "data:", "blob:")) else strangers.append(r.url),
        )
        page.goto(address)
        if ready:
            page.wait_for_selector("html[data-ready]", state="attached")
        return page

    yield start
    for context in contexts:
        context.close()
    assert not complaints.left()
    assert not strangers


@pytest.fixture
def page(open_page: Callable[..., Any], site: str) -> Any:
    return open_page(site)
