"""For every test: no network, no settings from outside, a store of its own."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

LOOPBACK = {"127.0.0.1", "::1", "localhost", "0.0.0.0", "::", ""}
OUTSIDE = ("HYDRA_RAG_", "HF_", "HUGGINGFACE_", "TRANSFORMERS_")


class NetworkBlockedError(RuntimeError):
    """A test tried to reach another machine."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes minutes runs with the long suites (``make test-faults``), or when it is asked for."""
    if os.environ.get("HYDRA_RAG_TEST_LONG") == "1" or "slow" in (config.option.markexpr or ""):
        return
    left_out = [item for item in items if item.get_closest_marker("slow")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Any:
    """Connections leave this machine for nobody; loopback and Unix sockets are fine."""
    patch = pytest.MonkeyPatch()
    real_connect, real_connect_ex, real_lookup = (
        socket.socket.connect,
        socket.socket.connect_ex,
        socket.getaddrinfo,
    )

    def check(address: object) -> None:
        if isinstance(address, tuple) and str(address[0]) not in LOOPBACK:
            raise NetworkBlockedError(f"a test tried to connect to {address[0]}")

    def connect(self: socket.socket, address: Any) -> None:
        check(address)
        real_connect(self, address)

    def connect_ex(self: socket.socket, address: Any) -> int:
        check(address)
        return real_connect_ex(self, address)

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        check((host.decode() if isinstance(host, bytes) else host or "",))
        return real_lookup(host, *args, **kwargs)

    patch.setattr(socket.socket, "connect", connect)
    patch.setattr(socket.socket, "connect_ex", connect_ex)
    patch.setattr(socket, "getaddrinfo", getaddrinfo)
    patch.setenv("HF_HUB_OFFLINE", "1")  # child processes know nothing of the patches above
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nobody's settings leak in, and nothing is written outside the test's folders."""
    for name in list(os.environ):
        if name.startswith(OUTSIDE) and name != "HYDRA_RAG_TEST_LONG":
            monkeypatch.delenv(name)
    home = tmp_path_factory.getbasetemp() / "home"
    home.mkdir(exist_ok=True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(home / name.split("_")[1].lower()))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture
def store_dir(tmp_path: Path) -> Path:
    """A folder for a store; nothing is in it yet."""
    return tmp_path / "store"
