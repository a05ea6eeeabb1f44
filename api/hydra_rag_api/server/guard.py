"""The outermost layer of the app: who may speak, how much, and what every answer carries.

Plain ASGI on purpose: it sees the client go away at once, and nothing buffers a stream.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hydra_rag.store.ids import new_id
from hydra_rag_api.server.admission import OneByOne, Place
from hydra_rag_api.server.errors import ApiError, api_error, problem
from hydra_rag_api.server.recent import Recent
from hydra_rag_api.server.shared_calls import SharedCalls

if TYPE_CHECKING:
    from hydra_rag_api.server.services import Services

__all__ = ["COOKIE", "Guard", "Principal", "is_loopback"]

log = logging.getLogger(__name__)
COOKIE = "hydra_key"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'"
)
_HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_UPLOADS = {"/api/documents", "/v1/files"}
_SAFE = {"GET", "HEAD", "OPTIONS"}
#: Who was let in so lately may be refused, never let in, without being looked up anew.
_RECENT_SECONDS, _MOST_RECENT = 5.0, 1024
_LOOK_UP_THREADS = 4


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. ``by``: ``key`` (header), ``cookie``, or ``open`` (no key needed here)."""

    tenant: str
    by: str


def is_loopback(host: str) -> bool:
    if host in ("localhost", "testserver"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.endswith(".localhost")


class Guard:
    def __init__(self, app: ASGIApp, services: Services) -> None:
        self.app, self.services = app, services
        self._recent: Recent[str | None, tuple[Principal, float]] = Recent(_MOST_RECENT)
        self._one_by_one = OneByOne()
        self._known: SharedCalls[str | None, str | bool] = SharedCalls(
            lambda token: self._look_up(token), _LOOK_UP_THREADS
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status, started = time.perf_counter(), 500, False
        headers = Headers(scope=scope)
        request_id = new_id()
        limit = self._limit(scope)
        seen, too_large = 0, False
        place: Place | None = None
        sent: Message | None = None

        async def counted() -> Message:
            nonlocal seen, too_large, sent
            if sent is not None:
                message, sent = sent, None
                return message
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > limit:
                    too_large = True
                    raise _too_large(limit)
            return message

        async def marked(message: Message) -> None:
            nonlocal status, started
            if too_large and not started:
                # The framework turned the error into an answer of its own.
                started, status = True, 413
                await _answer(_too_large(limit), scope, receive, stamped)
                return
            if status == 413 and too_large:
                return
            if message["type"] == "http.response.start":
                started, status = True, message["status"]
            await stamped(message)

        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    out.setdefault(name, value)
                out.setdefault("Cache-Control", "no-store")
                out["X-Request-ID"] = request_id
                if too_large:
                    out["Connection"] = "close"
            await send(message)

        try:
            self._check_place(scope, headers)
            declared = headers.get("content-length", "0")
            if declared.isdigit() and int(declared) > limit:
                raise _too_large(limit)
            self._check_queue(scope, headers)
            state = scope.setdefault("state", {})
            state["principal"] = who = await self._principal(scope, headers)
            if self._asks(scope) and who is not None:
                first = await counted()
                # Whoever still sends would hold a place for nothing: such a one gets it later.
                if first["type"] == "http.request" and not first.get("more_body"):
                    state["place"] = place = self.services.admission.enter(who.tenant)
                    # Of many who come at once, those without a place are told between the others' beginnings.
                    await self._one_by_one()
                sent = first
            await self.app(scope, counted, marked)
        except Exception as error:
            known = api_error(error)
            status = known.status
            if not started:
                started = True
                if known.status == 401 and self._wants_page(scope, headers):
                    await RedirectResponse(self.services.login_path or "/", 303)(scope, receive, stamped)
                else:
                    await _answer(known, scope, receive, stamped)
            else:
                raise
        finally:
            if place is not None:
                place.leave()  # where the question came to an end before its turn
            route: Any = scope.get("route")
            path = scope["path"]
            known_path = path if path in self.services.question_paths else "other"  # refused before routing
            name = getattr(route, "path", None) or known_path
            metrics = self.services.metrics
            method = scope["method"] if scope["method"] in _METHODS else "OTHER"
            metrics.requests.labels(name, method, str(status)).inc()
            metrics.seconds.labels(name).observe(time.perf_counter() - began)
            log.info("%s %s %s %d %.3fs", request_id, method, name, status, time.perf_counter() - began)

    def _limit(self, scope: Scope) -> int:
        settings = self.services.settings
        upload = scope["method"] == "POST" and scope["path"].rstrip("/") in _UPLOADS
        return settings.max_upload_bytes if upload else settings.max_body_bytes

    def _check_place(self, scope: Scope, headers: Headers) -> None:
        """No foreign page may speak for the browser it runs in, by its address or by a borrowed name."""
        host = headers.get("host", "")
        name = urlsplit(f"//{host}").hostname or "" if host else ""
        allowed = self.services.settings
        named = name in allowed.host_names
        if self.services.require_keys is not True and not (is_loopback(name) or named):
            raise ApiError(421, "wrong_host", "This server is not called by that name (Host header).")
        if scope["method"] not in _SAFE:
            origin = headers.get("origin")
            if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
                raise ApiError(403, "cross_origin", "Requests from other sites' pages are refused.")
            if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
                raise ApiError(403, "cross_origin", "Requests from other sites' pages are refused.")

    def _asks(self, scope: Scope) -> bool:
        """Whether this is a question, which needs a place in the queue."""
        return scope["method"] == "POST" and scope["path"] in self.services.question_paths

    def _check_queue(self, scope: Scope, headers: Headers) -> None:
        """Refuse a question that finds no place before it costs anything: no thread, no reading of what was
        sent. Only for those who were let in a moment ago; whoever gets in is looked up as always."""
        if self._asks(scope):
            known = self._recent.get(_token(headers)[0])
            if known is not None and time.monotonic() - known[1] < _RECENT_SECONDS:
                self.services.admission.check(known[0].tenant)

    async def _principal(self, scope: Scope, headers: Headers) -> Principal | None:
        """Who asks; ``None`` on public paths. Raises 401."""
        path, services = scope["path"], self.services
        public = path in services.public_paths or any(path.startswith(p) for p in services.public_prefixes)
        token, by = _token(headers)
        if public and token is None:
            return None
        known = await self._known(token)
        if isinstance(known, str):
            return self._remember(token, Principal(known, by))
        if public:
            return None
        if known:
            return self._remember(token, Principal(services.rag.tenant, "open"))
        raise ApiError(
            401,
            "invalid_api_key",
            "A valid API key is needed: send it as 'Authorization: Bearer KEY'.",
            headers={"WWW-Authenticate": "Bearer"},
        )

    def _remember(self, token: str | None, who: Principal) -> Principal:
        self._recent.put(token, (who, time.monotonic()))
        return who

    def _look_up(self, token: str | None) -> str | bool:
        """The key's tenant; else whether one may come in without."""
        from hydra_rag.store import keys

        store = self.services.store
        if token is not None:
            tenant = keys.tenant_of_key(store, token)
            if tenant is not None:
                return tenant
            if token.startswith("hyd_"):
                return False
        if self.services.require_keys is not None:
            return not self.services.require_keys
        return not keys.any_keys(store)

    def _wants_page(self, scope: Scope, headers: Headers) -> bool:
        return (
            self.services.login_path is not None
            and scope["method"] == "GET"
            and "text/html" in headers.get("accept", "")
        )


_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def _token(headers: Headers) -> tuple[str | None, str]:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()[:512], "key"
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        cookie = None
    return (cookie.value[:512], "cookie") if cookie is not None else (None, "open")


def _too_large(limit: int) -> ApiError:
    return ApiError(413, "too_large", f"The request is larger than {limit} bytes.")


async def _answer(error: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    response = problem(
        error.status,
        error.code,
        error.message,
        request=Request(scope),
        param=error.param,
        headers=error.headers,
    )
    await response(scope, receive, send)
