"""Routes of the page, and the headers that keep it closed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.types import Scope

__all__ = ["CONTENT_SECURITY_POLICY", "mount"]

_HERE = Path(__file__).resolve().parent

#: No inline script or style, nothing from other hosts, no framing, and no string ever becomes markup:
#: ``trusted-types 'none'`` makes ``innerHTML`` and its like throw.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)

_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    # Files are small and carry an ETag: always asked for, rarely sent.
    "Cache-Control": "no-cache",
}


class _Files(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(_HEADERS)
        return response


def mount(app: FastAPI, services: Any = None) -> None:
    """Serve the page at ``/`` and its files under ``/static``.

    The page asks the HTTP interface for everything, so that keys, tenants and limits hold for it as for
    everybody. ``services`` only hears which paths need no key (those that hold nobody's data) and where a
    person sees a cited place.
    """
    if services is not None:
        services.public_paths |= {"/"}
        services.public_prefixes |= {"/static/"}
        services.login_path = "/"
        services.viewer = _place
    templates = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = templates.get_template("index.html").render(version=_version())

    async def page(_: Request) -> Response:
        return Response(html, media_type="text/html", headers=dict(_HEADERS))

    app.add_api_route("/", page, methods=["GET"], include_in_schema=False)
    app.mount("/static", _Files(directory=_HERE / "static"), name="static")


def _version() -> str:
    try:
        return version("hydra-rag")
    except PackageNotFoundError:
        return "0"


def _place(document_id: str, page: int, box: Any) -> str:
    """The page with a place of a document open, and the box round it."""
    found = f"/#page={quote(document_id)}/{page}"
    return found if box is None else f"{found}&box={','.join(map(str, box))}"
