"""Schema migrations of the store, append-only. No ini file: the engine is handed in.

Each upgrade is one explicit transaction, so a killed migration leaves the old schema; an existing
SQLite database is backed up first. Importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hydra_rag_migrations.runner import current, downgrade, head, upgrade

__all__ = ["current", "downgrade", "head", "upgrade"]


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(import_module("hydra_rag_migrations.runner"), name)
    raise AttributeError(f"module 'hydra_rag_migrations' has no attribute {name!r}")
