"""What an ingest reports: results per file (the command's contract) and events for progress bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hydra_rag.store.records import FailedPage

__all__ = ["IngestError", "IngestEvent", "IngestResult"]


@dataclass(frozen=True, slots=True)
class IngestError:
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class IngestResult:
    """``status``: ``indexed`` (new), ``unchanged``, ``replaced`` (new content) or ``failed``.

    ``error`` with another status than ``failed``: all but ``failed_pages`` is there (code ``pages_failed``).
    """

    path: str
    document_id: str | None
    pages: int
    status: Literal["indexed", "unchanged", "replaced", "failed"]
    error: IngestError | None = None
    failed_pages: tuple[FailedPage, ...] = ()

    @classmethod
    def stored(
        cls,
        path: str,
        document_id: str,
        pages: int,
        status: Literal["indexed", "unchanged", "replaced"],
        failed: Sequence[FailedPage] = (),
    ) -> IngestResult:
        """Of a document that is there, perhaps without some of its pages."""
        return cls(path, document_id, pages, status, _pages_error(pages, failed), tuple(failed))

    def to_json(self) -> dict[str, Any]:
        result: dict[str, Any] = {
            "path": self.path,
            "document_id": self.document_id,
            "pages": self.pages,
            "status": self.status,
            "error": None if self.error is None else {"code": self.error.code, "message": self.error.message},
        }
        if self.failed_pages:
            result["failed_pages"] = [page.to_json() for page in self.failed_pages]
        return result


def _pages_error(pages: int, failed: Sequence[FailedPage]) -> IngestError | None:
    if not failed:
        return None
    numbers = ", ".join(str(page.page) for page in failed[:20]) + (", …" if len(failed) > 20 else "")
    message = (
        f"{len(failed)} of {pages + len(failed)} pages can't be read ({numbers}), the others are indexed; "
        f"the first error: {failed[0].message}"
    )
    return IngestError("pages_failed", message)


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
