"""The tool table: what a language model can do with documents. LangChain and MCP are made from it.

A tool takes a pydantic model of arguments and returns text and pictures for the model, JSON for programs,
and the pages that it is about. Its errors (:class:`~hydra_rag.errors.HydraError`) are written for the model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from hydra_rag.errors import NotFoundError, UsageError
from hydra_rag.geometry import Box
from hydra_rag_agents.sources import FoundPage, PageView, Source, crop_of
from hydra_rag_agents.tool_values import (
    AskDocuments,
    Call,
    ListDocuments,
    LookAt,
    Picture,
    SearchPages,
    ToolOutput,
    ToolSpec,
    choose_documents,
    name_like,
)

__all__ = ["TOOLS", "ask_documents", "list_documents", "look_at", "search_pages"]

#: Entries that one call of list_documents gives: a language model reads them all.
MOST_DOCUMENTS = 100
_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")


def search_pages(call: Call, given: SearchPages) -> ToolOutput:
    options = call.options
    k = given.k or options.k
    documents = choose_documents(call.source, given.documents, options.documents, options.filter)
    found: list[FoundPage] = []
    if documents is None or documents:
        found = call.source.search(given.query, k, mode=options.mode, documents=documents, stop=call.stop)
    if options.score_threshold is not None:
        found = [page for page in found if (page.score or 0.0) >= options.score_threshold]
    if not found:
        return ToolOutput(("No page was found.",), {"pages": []})
    parts: list[str | Picture] = []
    for index, page in enumerate(found):
        view = page.view
        text = _shorten(view.text, options.text_chars)
        head = f"[{page.rank}] {_name(view)}"
        if page.regions:
            head += f"; likely places: {[list(box) for box, _ in page.regions]}"
        parts.append(f"{head}\n{text}" if text else f"{head}\n(no text layer: look at the image)")
        if index < options.max_images:
            parts += _pictures(call, page)
    return ToolOutput(tuple(parts), {"pages": [_page_json(page) for page in found]}, tuple(found))


def look_at(call: Call, given: LookAt) -> ToolOutput:
    document_id = _one_document(call, given.document)
    view = call.source.page(document_id, given.page)
    box, scale = crop_of(view, given.box, call.options.edge)
    page = FoundPage(view, 1, None, ((box, 1.0),) if given.box is not None else ())
    picture = Picture(call.source.picture(view, box, scale), page, box)
    text = _shorten(view.text_in(box) if given.box is not None else view.text, 4 * call.options.text_chars)
    head = _name(view) + (f"; shown: {list(box)}" if given.box is not None else "")
    return ToolOutput((f"{head}\n{text}".strip(), picture), {**_page_json(page), "shown": list(box)}, (page,))


def ask_documents(call: Call, given: AskDocuments) -> ToolOutput:
    options = call.options
    documents = choose_documents(call.source, given.documents, options.documents, options.filter)
    if documents is not None and not documents:
        raise UsageError("None of the documents that may be used exists: see list_documents.")
    settings = {"k": options.k, "mode": options.mode, **options.ask}
    answer = call.source.ask(
        given.question,
        session=given.session_id,
        documents=documents,
        settings=settings,
        tell=call.tell,
        stop=call.stop,
    )
    pages = _cited(call.source, answer["citations"])
    lines = [answer["answer"] if answer["status"] == "answered" else _not_found(answer)]
    for page in pages:
        quotes = "; ".join(f"“{quote}”" for quote in page.quotes)
        places = f", boxes {[list(box) for box, _ in page.regions]}" if page.regions else ""
        lines.append(f"Source: {_name(page.view)}{places}" + (f": {quotes}" if quotes else ""))
    lines.append(f"(confidence {answer['confidence']:.2f}, session_id {answer['session_id']})")
    parts: list[str | Picture] = ["\n".join(lines)]
    for page in pages[: options.max_images]:
        parts += _pictures(call, page)
    return ToolOutput(tuple(parts), answer, tuple(pages))


def list_documents(call: Call, given: ListDocuments) -> ToolOutput:
    allowed = choose_documents(call.source, None, call.options.documents, call.options.filter)
    documents = [
        info
        for info in call.source.documents()
        if (allowed is None or info["document_id"] in allowed)
        and (given.pattern is None or name_like(info["document"], given.pattern))
    ]
    if given.after is not None:  # ids sort by age, as the list does
        documents = [info for info in documents if info["document_id"] > given.after]
    shown, more = documents[:MOST_DOCUMENTS], max(0, len(documents) - MOST_DOCUMENTS)
    lines = [
        f"{info['document']} (document_id {info['document_id']}, {info['pages']} pages, {info['status']})"
        for info in shown
    ]
    if more:
        lines.append(f"{more} more: list them with after={shown[-1]['document_id']}, or name a pattern.")
    return ToolOutput(("\n".join(lines) or "There are no documents.",), {"documents": shown, "more": more})


TOOLS: tuple[ToolSpec, ...] = (
    ToolSpec(
        "search_pages",
        "Search pages",
        "Find pages of the user's documents by what they say and how they look (tables, figures, scans). "
        "Returns the best pages with their text, the places that match as boxes in page pixels, and images.",
        SearchPages,
        search_pages,
        model=True,
    ),
    ToolSpec(
        "look_at",
        "Look at a page",
        "Show a page of a document as an image, or a part of it (box) larger, with the text found there. "
        "Use it to read small print, tables and figures of a page that search_pages has found.",
        LookAt,
        look_at,
    ),
    ToolSpec(
        "ask_documents",
        "Ask the documents",
        "Let the documents' own agent answer a question: it searches, looks at pages, and returns a short "
        "answer with its sources (document, page, box), or says that the documents do not tell.",
        AskDocuments,
        ask_documents,
        model=True,
        reads=False,
    ),
    ToolSpec(
        "list_documents",
        "List documents",
        "List the documents that can be searched: file name, document_id, number of pages.",
        ListDocuments,
        list_documents,
    ),
)


def _one_document(call: Call, name: str) -> str:
    options = call.options
    if _ID.fullmatch(name) and options.documents is None and not options.filter:
        return name
    found = choose_documents(call.source, [name], options.documents, options.filter) or []
    if len(found) > 1:
        raise UsageError(f"{len(found)} documents are called {name!r}: give the document_id.")
    return found[0]


def _pictures(call: Call, page: FoundPage) -> list[Picture]:
    """What is shown of ``page``: at most one picture."""
    if call.options.images == "none":
        return []
    view, box = page.view, None
    if call.options.images == "crops" and page.regions:
        # Some of the surroundings: a value means little without its label.
        box = page.regions[0][0].pad(view.width // 8, view.height // 20).clip(view.width, view.height)
    shown, scale = crop_of(view, box, call.options.edge)
    return [Picture(call.source.picture(view, shown, scale), page, shown)]


def _cited(source: Source, citations: Sequence[Mapping[str, Any]]) -> list[FoundPage]:
    """The pages behind an answer, each with its boxes and quotes."""
    groups: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for citation in citations:
        groups.setdefault((citation["document_id"], citation["page"]), []).append(citation)
    pages: list[FoundPage] = []
    for (document_id, number), cited in groups.items():
        try:
            view = source.page(document_id, number)
        except NotFoundError:
            continue  # removed a moment ago
        boxes = tuple((Box(*c["box"]), 1.0) for c in cited if c["box"])
        quotes = tuple(c["quote"] for c in cited if c["quote"])
        pages.append(FoundPage(view, len(pages) + 1, None, boxes, {}, quotes))
    return pages


def _not_found(answer: Mapping[str, Any]) -> str:
    return str(answer["answer"] or "The documents do not tell.")


def _name(view: PageView) -> str:
    label = f" (printed as {view.label})" if view.label and view.label != str(view.page) else ""
    return (
        f"{view.document}, page {view.page} of {view.total_pages}{label}, document_id {view.document_id}, "
        f"{view.width} x {view.height} px"
    )


def _shorten(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most].rstrip() + " […]"


def _page_json(page: FoundPage) -> dict[str, Any]:
    view = page.view
    return {
        "rank": page.rank,
        "score": page.score,
        "document_id": view.document_id,
        "document": view.document,
        "page": view.page,
        "label": view.label,
        "width": view.width,
        "height": view.height,
        "regions": [{"box": list(box), "score": round(score, 6)} for box, score in page.regions],
    }
