"""What an ingest reports: results per file (the command's contract) and events for progress bars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["IngestError", "IngestEvent", "IngestResult"]


@dataclass(frozen=True, slots=True)
class IngestError:
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class IngestResult:
    """``status``: ``indexed`` (new), ``unchanged``, ``replaced`` (new content) or ``failed``."""

    path: str
    document_id: str | None
    pages: int
    status: Literal["indexed", "unchanged", "replaced", "failed"]
    error: IngestError | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "document_id": self.document_id,
            "pages": self.pages,
            "status": self.status,
            "error": None if self.error is None else {"code": self.error.code, "message": self.error.message},
        }


@dataclass(frozen=True, slots=True)
class IngestEvent:
    """``kind``: ``files`` (the list is known), ``file`` (one begins), ``page`` (pages of it are done),
    ``result`` (one ended), ``waiting`` (another process writes; it will do these files).

    ``files_done`` of ``files_total``; of ``path``, ``pages_done`` of ``pages_total`` (``None``: unknown).
    """

    kind: Literal["files", "file", "page", "result", "waiting"]
    files_done: int = 0
    files_total: int = 0
    path: str | None = None
    pages_done: int = 0
    pages_total: int | None = None
    result: IngestResult | None = None
    message: str | None = None
