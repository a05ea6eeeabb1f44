"""A running server as a source of pages and answers. Needs httpx2; no model, no store, no torch."""

from __future__ import annotations

import json
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hydra_rag.errors import CancelledError, HydraError, MissingExtraError, NotFoundError, UsageError
from hydra_rag.geometry import Box
from hydra_rag.values import Word
from hydra_rag_agents.sources import FoundPage, PageView, Tell, found_pages

if TYPE_CHECKING:
    import httpx2

__all__ = ["RemoteSource"]

#: Documents that one request of the server may be limited to.
MAX_DOCUMENTS = 100
#: Entries of a list that the server gives at once.
MOST_LISTED = 1000


class RemoteSource:
    """The native endpoints of a server. ``url``: its address (``http://127.0.0.1:8000``); ``collection``:
    ``None`` for the server's own. The key decides the tenant. Safe to share between threads."""

    def __init__(
        self, url: str, api_key: str | None = None, *, collection: str | None = None, timeout: float = 600.0
    ) -> None:
        base = url.rstrip("/")
        for tail in ("/v1", "/api"):
            base = base.removesuffix(tail)
        if not base.startswith(("http://", "https://")):
            raise UsageError(f"{url!r} is not the address of a server: give http://host:port.")
        self._base, self._api_key = base, api_key
        self._query = {"collection": collection} if collection is not None else {}
        self._timeout = timeout
        self._lock = threading.Lock()
        self._client: httpx2.Client | None = None

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    # -- source ------------------------------------------------------------------------------------------

    def search(
        self,
        query: str,
        k: int,
        *,
        mode: str | None,
        documents: Sequence[str] | None,
        stop: threading.Event | None,
    ) -> list[FoundPage]:
        body: dict[str, Any] = {"query": query, "k": min(k, 100), "mode": mode or "hybrid"}
        if documents is not None:
            body["documents"] = _some(documents)
        known: dict[str, dict[str, Any]] = {}
        hits = self._json("POST", "/api/search", json=body)["hits"]
        return found_pages(hits, lambda d, p: self._view(d, p, known), stop)

    def documents(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = []
        place: dict[str, Any] = {"limit": MOST_LISTED}
        while True:
            part = self._json("GET", "/api/documents", params=place)
            listed += part["documents"]
            if not part.get("has_more") or not part["documents"]:
                return listed
            place["after"] = part["documents"][-1]["document_id"]

    def page(self, document_id: str, page: int) -> PageView:
        return self._view(document_id, page, {})

    def picture(self, view: PageView, box: Box, scale: float) -> bytes:
        names = ("left", "top", "right", "bottom")
        place = {**dict(zip(names, map(str, box), strict=True)), "scale": f"{scale:.4f}"}
        path = f"/api/documents/{view.document_id}/pages/{view.page}/crop.png"
        with self._sent("GET", path, params=place) as response:
            return response.read()

    def ask(
        self,
        question: str,
        *,
        session: str | None,
        documents: Sequence[str] | None,
        settings: Mapping[str, Any],
        tell: Tell | None,
        stop: threading.Event | None,
    ) -> dict[str, Any]:
        body: dict[str, Any] = {"question": question, "stream": True}
        body |= {key: value for key, value in settings.items() if value is not None}
        if session is not None:
            body["session_id"] = session
        if documents is not None:
            body["documents"] = _some(documents)
        answer: dict[str, Any] | None = None
        with self._sent("POST", "/api/ask", json=body) as response:
            for name, data in _server_events(response.iter_lines()):
                if stop is not None and stop.is_set():
                    raise CancelledError("The question was stopped.")  # closing the stream stops the model
                if name == "error":
                    raise _error(int(data.get("status", 500)), data)
                if name == "answer":
                    answer = data
                elif name not in ("done", "") and tell is not None:
                    tell(name, data)
        if answer is None:
            raise HydraError("The server's stream ended before its answer: ask again.", code="server")
        return answer

    # -- http --------------------------------------------------------------------------------------------

    def _view(self, document_id: str, page: int, known: dict[str, dict[str, Any]]) -> PageView:
        from urllib.parse import quote

        safe = quote(document_id, safe="")
        if document_id not in known:
            known[document_id] = self._json("GET", f"/api/documents/{safe}")
        info = known[document_id]
        stored = next((p for p in info["page_list"] if p["page"] == page), None)
        if stored is None:
            raise NotFoundError(f"{info['document']} has {info['pages']} pages; there is no page {page}.")
        path = f"/api/documents/{safe}/pages/{page}"
        words = self._json("GET", f"{path}/words")["words"] if stored["has_text"] else []
        return PageView(
            document_id,
            info["document"],
            page,
            stored["width"],
            stored["height"],
            stored["label"],
            info["pages"],
            info["media_type"],
            info["document"],
            info.get("sha256"),
            tuple(Word(word["text"], Box(*word["box"])) for word in words),
            f"{self._base}{path}.png",
        )

    def _json(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        with self._sent(method, path, **more) as response:
            data: dict[str, Any] = json.loads(response.read())
            return data

    @contextmanager
    def _sent(self, method: str, path: str, **more: Any) -> Iterator[httpx2.Response]:
        """The open response of a request that went well."""
        client = self._open()
        import httpx2

        params = {**self._query, **more.pop("params", {})}
        try:
            with client.stream(method, path, params=params, **more) as response:
                if not response.is_success:
                    response.read()
                    raise _error(response.status_code, _body(response))
                yield response
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise HydraError(
                f"The server at {self._base} can't be reached ({type(error).__name__}: {error}): "
                "is `hydra-rag serve` running there?",
                code="server",
            ) from error

    def _open(self) -> httpx2.Client:
        try:
            import httpx2
        except ImportError as error:
            raise MissingExtraError(
                "A running server is reached through httpx2: pip install 'hydra-rag[langchain]'."
            ) from error
        with self._lock:
            if self._client is None:
                headers = {"Authorization": f"Bearer {self._api_key}"} if self._api_key else {}
                timeout = httpx2.Timeout(self._timeout, connect=10.0)
                self._client = httpx2.Client(base_url=self._base, headers=headers, timeout=timeout)
                weakref.finalize(self, self._client.close)  # nobody has to remember to close a tool
            return self._client


def _some(documents: Sequence[str]) -> list[str]:
    if len(documents) > MAX_DOCUMENTS:
        raise UsageError(
            f"{len(documents)} documents match; a server takes at most {MAX_DOCUMENTS}: narrow the choice."
        )
    return list(documents)


def _body(response: httpx2.Response) -> dict[str, Any]:
    try:
        data = response.json()
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _error(status: int, body: Mapping[str, Any]) -> HydraError:
    code = str(body.get("type", "")).rpartition(":")[2] or "server"
    message = str(body.get("detail") or f"The server answered with status {status}.")
    if status == 404:
        return NotFoundError(message, code=code)
    if status in (400, 413, 422):
        return UsageError(message, code=code)
    error = HydraError(message, code=code)
    error.retryable = status in (429, 503)
    return error


def _server_events(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, data) of each server-sent event whose data is a JSON object."""
    name = ""
    data: list[str] = []
    for line in lines:
        if not line:
            if data:
                value = json.loads("\n".join(data))
                if isinstance(value, dict):
                    yield name, value
            name, data = "", []
            continue
        key, _, value = line.partition(":")
        if key == "event":
            name = value.removeprefix(" ")
        elif key == "data":
            data.append(value.removeprefix(" "))
