"""The page: one Jinja template, plain ES modules and style sheets. No build step, nothing from elsewhere.

It speaks to the HTTP interface like any other client; it has no door of its own into the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["mount"]


def mount(app: FastAPI, services: Any = None) -> None:
    """Serve the page at ``/`` and its files under ``/static``. Needs the ``server`` extra."""
    from hydra_rag_api.web.pages import mount as mount_pages

    mount_pages(app, services)
