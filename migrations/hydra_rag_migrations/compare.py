"""What a comparison of models and schema looks at (shared by the environment and the tests)."""

from __future__ import annotations

from typing import Any

# Importing the modules registers their tables.
from hydra_rag.store import chat_models, models
from hydra_rag.store.base import Base

__all__ = ["COMPARE"]

assert chat_models.TurnRow.metadata is models.PageRow.metadata is Base.metadata


def _ours(name: str | None, kind: str, _parents: Any) -> bool:
    """The full-text table and its shadow tables belong to the database, not to the models."""
    return not (kind == "table" and name is not None and name.startswith("page_text"))


COMPARE: dict[str, Any] = {
    "target_metadata": Base.metadata,
    "include_name": _ours,
    "compare_type": True,
    "compare_server_default": True,
}
