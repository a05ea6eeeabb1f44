"""The server's garbage collection: never a walk over everything that the model brought while clients wait."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from hydra_rag_api.server import run
from hydra_rag_api.server.limits import ServerSettings
from hydra_rag_api.server.memory import forget_lasting, hold_collections
from hydra_rag_api.server.services import Services
from tests.api.server.conftest import make_rag


@pytest.fixture
def restored() -> Iterator[None]:
    switch = sys.getswitchinterval()
    yield
    gc.unfreeze()
    gc.enable()
    sys.setswitchinterval(switch)


class Ring:
    """Garbage that only a search finds."""

    def __init__(self) -> None:
        self.me = self


def test_what_lasts_is_left_alone_and_garbage_is_not(restored: None) -> None:
    hold_collections()
    assert not gc.isenabled()
    kept, dropped = Ring(), weakref.ref(Ring())
    assert dropped() is not None
    forget_lasting()
    assert gc.isenabled()
    assert dropped() is None
    assert not any(thing is kept for thing in gc.get_objects())
    later, gone = Ring(), weakref.ref(Ring())
    gc.collect()
    assert gone() is None
    assert any(thing is later for thing in gc.get_objects())


@pytest.mark.parametrize("broken", [False, True])
def test_loading_ends_with_a_call_before_anybody_gets_in(tmp_path: Path, broken: bool) -> None:
    states: list[str] = []
    with make_rag(tmp_path / "store") as rag:
        if broken:
            rag = Broken()  # type: ignore[assignment]
        services = Services(rag, loaded=lambda: states.append(services.state))
        services._state = "loading"
        services._load()
        services.worker.stop(wait=5.0)
    assert states == ["failed" if broken else "loading"]
    assert services.state == ("failed" if broken else "ready")


class Broken:
    @property
    def model(self) -> Any:
        raise RuntimeError("no such model")


def test_the_server_process_collects_little_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restored: None
) -> None:
    seen: list[tuple[bool, bool]] = []

    def ran(self: Any) -> None:
        seen.append((gc.isenabled(), gc.get_freeze_count() > 0))
        self._services._load()
        self._services.worker.stop(wait=5.0)
        seen.append((gc.isenabled(), gc.get_freeze_count() > 0))
        self.started = True

    monkeypatch.setattr(uvicorn.Server, "run", ran)
    with make_rag(tmp_path / "store") as rag:
        assert run.serve(rag, ServerSettings(port=0)) == 0
    assert seen == [(False, False), (True, True)]
    assert gc.isenabled()
