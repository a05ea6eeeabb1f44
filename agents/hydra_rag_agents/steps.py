"""The steps of a turn as they are stored and shown: plain JSON, enough to replay and to draw."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hydra_rag.values import GenerationResult
from hydra_rag_agents.actions import Prepared
from hydra_rag_agents.events import Done
from hydra_rag_agents.gate import Look
from hydra_rag_agents.moves import Draft, Judgement, Search, View
from hydra_rag_agents.prompts import NOT_FOUND_TEXT
from hydra_rag_agents.state import Answer, Candidate, Citation, PageId, Step, Turn

__all__ = [
    "NOT_FOUND_ANSWER", "answer_step", "check_step", "look_step", "read_step", "reflect_step", "search_step",
]  # fmt: skip

#: What a user reads when the documents do not hold the answer.
NOT_FOUND_ANSWER = "Not found in the documents."


def search_step(turn: Turn, action: Search, found: Sequence[Candidate]) -> Step:
    hits = [
        {
            "rank": c.rank,
            "document_id": c.id.document_id,
            "document": c.document,
            "page": c.id.page,
            "score": round(c.score, 6),
        }
        for c in found
    ]
    detail = {"query": turn.search_text, "image": turn.image is not None, "mode": action.mode, "k": action.k}
    if action.boxes:
        detail["crops"] = [list(box) for box in action.boxes]
    return Step("search", {**detail, "hits": hits})


def look_step(page: PageId | None, look: Look | None, tokens: int) -> Step:
    """Where the model looks: part of glancing, before it is decided whether to gaze."""
    detail: dict[str, Any] = {"pages": [] if page is None else [_page(page)]}
    if page is None:
        detail["own_image"] = True
    if look is not None:
        spots = [spot.to_json() for spot in look.spots]
        detail |= {"look": {**look.detail, "spots": spots}, "prompt_tokens": tokens, "new_tokens": 0}
        detail["reason"] = f"looks at {len(spots)} place{'s' if len(spots) != 1 else ''}"
    return Step("glance", detail)


def read_step(
    prepared: Prepared, draft: Draft, result: GenerationResult, read: Sequence[str] = (), seen: int = 0
) -> Step:
    """``read``: what the crops say, where they were read again, for ``seen`` visual tokens. ``gain`` of the
    step: how many times larger a closer look would show the words (1: they are certain)."""
    detail: dict[str, Any] = {
        "pages": [_page(page) for page in prepared.pages],
        "text": draft.text or NOT_FOUND_TEXT,
        "confidence": plain(draft.confidence),
        "prompt_tokens": seen + result.prompt_tokens,
        "new_tokens": len(result.token_ids),
        "finish_reason": result.finish_reason,
    }
    if prepared.boxes:
        detail["boxes"] = [list(box) for box in prepared.boxes]
        detail["crops"] = [list(box) for box in prepared.frames]
        detail["beside_page"] = prepared.beside
    if prepared.again:
        detail["read"] = list(read)
    if math.isfinite(draft.gain):
        detail["gain"] = round(draft.gain, 2)
    return Step("gaze" if prepared.boxes else "glance", detail)


def reflect_step(drafts: Sequence[Mapping[str, Any]]) -> Step:
    return Step("reflect", {"drafts": list(drafts)})


def check_step(note: Mapping[str, Any], prompt_tokens: int, new_tokens: int) -> Step:
    return Step("reflect", {"check": dict(note), "prompt_tokens": prompt_tokens, "new_tokens": new_tokens})


def answer_step(
    view: View, judgement: Judgement | None, citations: tuple[Citation, ...], respelled: int = 0
) -> Done:
    """``respelled``: visual tokens that went into reading the answer once more."""
    if judgement is None:
        sure = max((1 - j.confidence for j in view.judgements), default=1.0)
        answer = Answer("not_found", NOT_FOUND_ANSWER, plain(sure))
    else:
        answer = Answer("answered", judgement.text, plain(judgement.confidence), citations)
    detail: dict[str, Any] = {
        "status": answer.status,
        "text": answer.text,
        "confidence": answer.confidence,
        "citations": [citation.to_json() for citation in answer.citations],
    }
    if respelled:
        detail |= {"prompt_tokens": respelled, "new_tokens": 0}
    return Done(Step("answer", detail), answer)


def plain(value: float) -> float:
    """A confidence as it is told: four digits, 0 to 1."""
    return round(min(1.0, max(0.0, value)), 4)


def _page(page: PageId) -> dict[str, Any]:
    return {"document_id": page.document_id, "page": page.page}
