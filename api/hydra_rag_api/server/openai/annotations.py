"""Citations and hits in OpenAI's shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request

from hydra_rag_agents.state import Citation
from hydra_rag_api.server.services import Services

__all__ = ["file_citations", "file_id", "page_url", "search_results", "ulid_of", "url_citations"]


def file_id(document_id: str) -> str:
    return f"file-{document_id}"


def ulid_of(prefixed: str) -> str:
    """The part after the prefix; other text as it stands (and then it is an unknown id)."""
    return prefixed.partition("-")[2] if prefixed.startswith("file-") else prefixed.rpartition("_")[2]


def page_url(services: Services, request: Request, document_id: str, page: int, box: Any) -> str:
    """Where a browser sees the cited place."""
    return str(request.base_url).rstrip("/") + services.viewer(document_id, page, box)


def url_citations(
    services: Services, request: Request, text: str, citations: Sequence[Citation]
) -> list[dict[str, Any]]:
    """The flat form, as the Responses API has it; it spans the whole answer."""
    return [
        {
            "type": "url_citation",
            "start_index": 0,
            "end_index": len(text),
            "title": f"{cited.document}, page {cited.page}",
            "url": page_url(services, request, cited.document_id, cited.page, cited.box),
        }
        for cited in citations
    ]


def file_citations(text: str, citations: Sequence[Citation]) -> list[dict[str, Any]]:
    """``page``, ``box`` and ``quote`` are additions; clients that don't know them pass over them."""
    return [
        {
            "type": "file_citation",
            "index": len(text),
            "file_id": file_id(cited.document_id),
            "filename": cited.document,
            "page": cited.page,
            "box": list(cited.box) if cited.box else None,
            "quote": cited.quote,
        }
        for cited in citations
    ]


def search_results(
    services: Services,
    request: Request,
    hits: Sequence[dict[str, Any]],
    citations: Sequence[Citation],
) -> list[dict[str, Any]]:
    """Pages that were retrieved, as file search results. Attributes hold no lists: a box is four numbers."""
    boxes = {(cited.document_id, cited.page): cited for cited in reversed(citations)}
    out = []
    for hit in hits:
        cited = boxes.get((hit["document_id"], hit["page"]))
        box = cited.box if cited is not None else None
        attributes: dict[str, Any] = {
            "page": hit["page"],
            "cited": cited is not None,
            "url": page_url(services, request, hit["document_id"], hit["page"], box)[:512],
        }
        if box is not None:
            attributes |= dict(zip(("x0", "y0", "x1", "y1"), box, strict=True))
        out.append(
            {
                "file_id": file_id(hit["document_id"]),
                "filename": hit["document"],
                "score": max(0.0, min(1.0, float(hit.get("score", 0.0)))),
                "text": (cited.quote if cited is not None else None) or f"Page {hit['page']}",
                "attributes": attributes,
            }
        )
    return out
