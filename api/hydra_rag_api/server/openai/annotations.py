"""Answers, citations and hits in OpenAI's shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request

from hydra_rag.store.records import Turn
from hydra_rag_agents.state import Citation, Step
from hydra_rag_api.server.services import Services

__all__ = [
    "answer_items", "citations_of", "file_citations", "file_id", "message_item", "page_url", "search_item",
    "ulid_of", "url_citations",
]  # fmt: skip


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


def citations_of(turn: Turn) -> list[Citation]:
    """The citations of a stored turn."""
    return [Citation(c.document_id, c.document, c.page, c.box, c.quote) for c in turn.citations]


def _search_results(
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


def search_item(item_id: str, queries: Sequence[str], results: list[dict[str, Any]] | None) -> dict[str, Any]:
    """An output item; ``results`` ``None`` while the search is under way."""
    return {
        "id": item_id,
        "type": "file_search_call",
        "status": "in_progress" if results is None else "completed",
        "queries": list(queries),
        "results": results,
    }


def message_item(item_id: str, text: str, annotations: list[dict[str, Any]]) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": annotations, "logprobs": []}
    return {
        "id": item_id,
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [part],
    }


def answer_items(
    services: Services,
    request: Request,
    search_id: str,
    message_id: str,
    text: str,
    citations: Sequence[Citation],
    steps: Sequence[Step],
) -> list[dict[str, Any]]:
    """The output of a response: what was searched and found, and the message with its citations."""
    searches = [step.detail for step in steps if step.action == "search"]
    hits = list(searches[-1].get("hits", ())) if searches else []
    queries = [str(search.get("query", "")) for search in searches]
    results = _search_results(services, request, hits, citations)
    notes = file_citations(text, citations) + url_citations(services, request, text, citations)
    return [search_item(search_id, queries, results), message_item(message_id, text, notes)]
