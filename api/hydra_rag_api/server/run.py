"""The server process: listen, and stop gently."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from hydra_rag.errors import UsageError
from hydra_rag_api.server.app import create_app
from hydra_rag_api.server.guard import is_loopback
from hydra_rag_api.server.limits import ServerSettings
from hydra_rag_api.server.memory import forget_lasting, hold_collections, share_heaps
from hydra_rag_api.server.services import Services

if TYPE_CHECKING:
    from hydra_rag_agents.facade import HydraRAG
    from hydra_rag_agents.state import AskSettings

__all__ = ["serve"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
#: The event loop waits this long for every Python thread that is in its way (the interpreter's default is
#: five times as long, and some questions and an ingest run beside it).
_SWITCH_SECONDS = 0.001


class _Server(uvicorn.Server):
    """Signals first close the door for new work; the sockets stay open until running answers have ended, so
    that clients are told instead of dropped. A second signal ends the process at once."""

    def __init__(self, config: uvicorn.Config, services: Services, listening: Callable[[str], None]) -> None:
        super().__init__(config)
        self._services, self._listening = services, listening
        self._stopping: asyncio.Task[None] | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._on_signal)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.should_exit or not self.servers:
            return
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        self._listening(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")

    def _on_signal(self) -> None:
        if self._stopping is not None:
            os._exit(130)  # the store is safe against this at any moment
        self._stopping = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        await self._services.drain()
        self.should_exit = True


def serve(
    rag: HydraRAG,
    settings: ServerSettings,
    *,
    ask_defaults: AskSettings | None = None,
    ocr: str = "auto",
    listening: Callable[[str], None] = lambda url: None,
) -> int:
    """Run until a signal; returns the exit code. Raises :class:`UsageError` when the address is open to
    others and there is no key."""
    local = is_loopback(settings.host)
    if not local:
        from hydra_rag.store.keys import any_keys

        if not any_keys(rag.store):
            raise UsageError(
                f"The address {settings.host} can be reached from elsewhere, and there is no API key: "
                "make one with `hydra-rag keys create` first, or listen on 127.0.0.1."
            )
    services = Services(
        rag,
        settings,
        require_keys=None if local else True,
        ask_defaults=ask_defaults,
        ocr=ocr,
        loaded=forget_lasting,
    )
    config = uvicorn.Config(
        create_app(services),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,  # the guard logs routes, never query strings
        server_header=False,
        date_header=True,
        forwarded_allow_ips="127.0.0.1",
        timeout_keep_alive=20,
        timeout_graceful_shutdown=5,
        lifespan="on",
    )
    server = _Server(config, services, listening)
    sys.setswitchinterval(_SWITCH_SECONDS)
    share_heaps()
    hold_collections()
    try:
        server.run()
    finally:
        gc.enable()
    if not server.started:
        raise UsageError(f"Can't listen on {settings.host}:{settings.port}: is the port in use? Try --port.")
    return 0
