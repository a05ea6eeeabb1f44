"""What the endpoints share: engines over one model, the queue, the ingest worker, the state of the server."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from hydra_rag_api.server.admission import Admission
from hydra_rag_api.server.limits import ServerSettings
from hydra_rag_api.server.metrics import Metrics
from hydra_rag_api.server.recent import Recent
from hydra_rag_api.server.worker import IngestWorker

if TYPE_CHECKING:
    from hydra_rag.store.store import Store
    from hydra_rag.values import MultiVector
    from hydra_rag_agents.facade import HydraRAG
    from hydra_rag_agents.state import AskSettings

__all__ = ["Services", "State"]

log = logging.getLogger(__name__)
State = Literal["starting", "loading", "ready", "failed", "stopping"]
_MAX_ENGINES = 256
#: What answers get to tell their clients that they were cut; what the ingest gets to put its file back, and
#: the loading of a model to end.
_CUT_SECONDS, _INGEST_SECONDS, _LOAD_SECONDS = 3.0, 20.0, 5.0


class Services:
    """Made once per server. ``rag``: the engine whose model and store all tenants share.

    ``require_keys``: whether every request needs a key; ``None``: as soon as the store has one.
    ``ask_defaults``: settings of questions where a request does not name them. ``loaded``: called once the
    model has loaded, or could not be, before the first question gets in.
    """

    def __init__(
        self,
        rag: HydraRAG,
        settings: ServerSettings | None = None,
        *,
        require_keys: bool | None = None,
        ask_defaults: AskSettings | None = None,
        ocr: str = "auto",
        loaded: Callable[[], None] = lambda: None,
    ) -> None:
        from hydra_rag_agents.state import AskSettings

        self.rag = rag
        self.settings = settings or ServerSettings()  # type: ignore[call-arg]
        self.require_keys = require_keys
        self.ask_defaults = ask_defaults or AskSettings()
        self.ocr, self._loaded = ocr, loaded
        limits = self.settings
        self.admission = Admission(
            limits.chat_running, limits.chat_waiting, limits.chat_per_tenant, limits.chat_wait_seconds
        )
        self.metrics = Metrics(self)
        self.worker = IngestWorker(rag)
        self.threads = ThreadPoolExecutor(limits.chat_running + 2, thread_name_prefix="hydra-ask")
        #: Paths that need no key; the web page adds its own.
        self.public_paths: set[str] = {"/healthz", "/readyz", "/health", "/version"}
        self.public_prefixes: set[str] = set()
        #: Where a POST is a question, which needs a place in the queue.
        self.question_paths = frozenset({"/api/ask", "/v1/chat/completions", "/v1/responses"})
        #: Where a browser without a key is sent, when the web page has such a place.
        self.login_path: str | None = None
        #: (document id, page, box or None) -> path where a person sees that place; the page sets its own.
        self.viewer: Callable[[str, int, Any], str] = default_viewer
        self.started = time.time()
        self._state: State = "starting"
        self.stopping = threading.Event()
        self.streams: set[threading.Event] = set()
        #: Ids of jobs whose files are being received.
        self.uploads: set[str] = set()
        #: Scaled pages, crops and heat maps by (tenant, ETag).
        self.pictures: Recent[tuple[str, str], bytes] = Recent(limits.page_cache_bytes, len)
        #: Embedded queries by (tenant, text): the same few are asked for many pages and tokens.
        self.queries: Recent[tuple[str, str], MultiVector] = Recent(128)
        self._engines: OrderedDict[tuple[str, str], HydraRAG] = OrderedDict()
        self._lock = threading.Lock()
        self._loader: threading.Thread | None = None
        self._drained: asyncio.Task[None] | None = None
        self._deadline = 0.0

    @property
    def store(self) -> Store:
        return self.rag.store

    @property
    def state(self) -> State:
        return "stopping" if self.stopping.is_set() else self._state

    def engine(self, tenant: str, collection: str | None = None) -> HydraRAG:
        """The engine of a tenant's collection; cheap, nothing is loaded."""
        key = (tenant, collection or self.rag.collection_name)
        with self._lock:
            engine = self._engines.pop(key, None) or self.rag.for_tenant(*key)
            self._engines[key] = engine
            while len(self._engines) > _MAX_ENGINES:
                self._engines.popitem(last=False)
            return engine

    # -- life ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Open the store, then load the model and begin with waiting ingest jobs in the background."""
        from hydra_rag_api.server.recovery import recover

        recover(self.store)
        self._state = "loading"
        self._loader = threading.Thread(target=self._load, name="hydra-load", daemon=True)
        self._loader.start()

    def _load(self) -> None:
        try:
            model: Any = self.rag.model
            model.fingerprint  # noqa: B018 - computed once, here rather than in the first question
        except Exception:
            log.exception("the model could not be loaded")
            self._state = "failed"
            return
        finally:
            self._loaded()
        self._state = "ready"
        if not self.stopping.is_set():
            self.worker.start()

    async def drain(self) -> None:
        """Refuse new work, let answers end for a while, then cut them. A second call waits for the first."""
        if self._drained is None:
            self.stopping.set()
            self.admission.close()
            self.worker.stop(wait=0.0)
            self._deadline = time.monotonic() + self.settings.drain_seconds
            self._drained = asyncio.get_running_loop().create_task(self._drain())
        await asyncio.shield(self._drained)

    async def _drain(self) -> None:
        while self.admission.running and time.monotonic() < self._deadline:
            await asyncio.sleep(0.05)
        for stream in list(self.streams):
            stream.set()
        while self.admission.running and time.monotonic() < self._deadline + _CUT_SECONDS:
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """:meth:`drain`, then end the threads and close the engine."""
        await self.drain()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        # It was told when the drain began, and has as long for the page under way as answers have.
        self.worker.stop(wait=max(_INGEST_SECONDS, self._deadline - time.monotonic()))
        self.threads.shutdown(wait=False, cancel_futures=True)
        if self._loader is not None:
            self._loader.join(timeout=_LOAD_SECONDS)
        self.rag.close()


def default_viewer(document_id: str, page: int, box: Any) -> str:
    """The page image with a media fragment that names the place."""
    path = f"/api/documents/{quote(document_id)}/pages/{page}.png"
    if box is None:
        return path
    left, top, right, bottom = box
    return f"{path}#xywh={left},{top},{right - left},{bottom - top}"
