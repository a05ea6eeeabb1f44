"""The only loop: asks the policy, does what it says, charges the budget, yields events.

Whatever policy is given, no action is begun that could pass a limit, and the loop ends. Closing the
generator closes the model's stream at once. Nothing is yielded while cleaning up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

from hydra_rag.values import GenerationResult
from hydra_rag_agents.actions import (
    Prepared,
    begin_look,
    citations_for,
    end_look,
    judge,
    prepare_look,
    search,
)
from hydra_rag_agents.citations import Evidence
from hydra_rag_agents.events import Delta, Done, Event, Glanced, Reflected, Searched
from hydra_rag_agents.policy import Conclude, Gaze, Glance, Judgement, Policy, Search, View, decide
from hydra_rag_agents.prompts import NOT_FOUND_TEXT
from hydra_rag_agents.state import Answer, Budget, Candidate, Citation, Cost, Library, Reader, Step, Turn

__all__ = ["NOT_FOUND_ANSWER", "run"]

#: What a user reads when the documents do not hold the answer.
NOT_FOUND_ANSWER = "Not found in the documents."


def run(
    library: Library,
    reader: Reader,
    turn: Turn,
    *,
    policy: Policy = decide,
    budget: Budget | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[Event]:
    """One turn, as a stream of events that ends with :class:`Done`."""
    limits = budget or turn.settings.budget()
    view = View(turn.settings, reader.profile, limits)
    deadline = clock() + limits.seconds
    places: dict[int, tuple[Candidate, Evidence]] = {}
    while True:
        action = policy(view)
        prepared: Prepared | None = None
        cost = Cost(steps=1)
        if isinstance(action, Glance | Gaze):
            prepared = prepare_look(library, reader, turn, view, action)
            cost = prepared.cost
        elif isinstance(action, Search):
            cost = Cost(steps=1, searches=1)
        # The last step is kept for the answer; a policy that wants too much has come to its end.
        last = not limits.allows(view.spent, cost.plus(Cost(steps=1))) or clock() >= deadline
        if last or isinstance(action, Conclude):
            chosen = action.judgement if isinstance(action, Conclude) else None
            if chosen is None or chosen not in places:
                yield _finish(view, None, ())
            else:
                judgement = (view.judgements or ())[chosen]
                cited = citations_for(library, reader, turn, places[chosen], judgement.text)
                yield _finish(view, judgement, cited)
            return
        view = replace(view, spent=view.spent.plus(Cost(steps=1)))
        if isinstance(action, Search):
            found = search(library, turn, action)
            view = replace(view, candidates=found, spent=view.spent.plus(Cost(searches=1)))
            yield Searched(_search_step(turn, action, found), found)
        elif prepared is not None:
            reading = begin_look(library, reader, turn, prepared)
            try:
                for delta in reading:
                    if delta.text:
                        yield Delta(delta.text, prepared.pages)
                    if clock() >= deadline:
                        break
            finally:
                reading.close()
            draft, used = end_look(reading, prepared)
            view = replace(view, drafts=(*view.drafts, draft), spent=view.spent.plus(used))
            step = _glance_step(prepared, draft.text, draft.confidence, reading.result)
            yield Glanced(step, draft.pages, draft.text, draft.confidence)
        else:
            judgements, places, notes = judge(library, reader, turn, view)
            view = replace(view, judgements=judgements)
            yield Reflected(Step("reflect", {"drafts": notes}))


def _finish(view: View, judgement: Judgement | None, citations: tuple[Citation, ...]) -> Done:
    if judgement is None:
        sure = max((1 - j.confidence for j in view.judgements or ()), default=1.0)
        answer = Answer("not_found", NOT_FOUND_ANSWER, _plain(sure))
    else:
        answer = Answer("answered", judgement.text, _plain(judgement.confidence), citations)
    detail: dict[str, Any] = {
        "status": answer.status,
        "text": answer.text,
        "confidence": answer.confidence,
        "citations": [citation.to_json() for citation in answer.citations],
    }
    return Done(Step("answer", detail), answer)


def _plain(value: float) -> float:
    return round(min(1.0, max(0.0, value)), 4)


def _search_step(turn: Turn, action: Search, found: tuple[Candidate, ...]) -> Step:
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
    return Step("search", {**detail, "hits": hits})


def _glance_step(prepared: Prepared, text: str, confidence: float, result: GenerationResult) -> Step:
    detail = {
        "pages": [{"document_id": p.document_id, "page": p.page} for p in prepared.pages],
        "text": text or NOT_FOUND_TEXT,
        "confidence": _plain(confidence),
        "prompt_tokens": result.prompt_tokens,
        "new_tokens": len(result.token_ids),
        "finish_reason": result.finish_reason,
    }
    if prepared.boxes:
        detail["boxes"] = [list(box) for box in prepared.boxes]
    return Step("gaze" if prepared.boxes else "glance", detail)
