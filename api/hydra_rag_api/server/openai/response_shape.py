"""The response object of the Responses API and the events that build it up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hydra_rag_api.server.openai.annotations import search_item
from hydra_rag_api.server.openai.chat import pieces
from hydra_rag_api.server.sse import event

__all__ = ["Events", "response_object"]


def response_object(
    response_id: str,
    created: int,
    model: str,
    *,
    status: str,
    output: list[dict[str, Any]],
    usage: tuple[int, int] | None = None,
    error: dict[str, Any] | None = None,
    previous: str | None = None,
    conversation: str | None = None,
    more: dict[str, Any] | None = None,
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": response_id,
        "object": "response",
        "created_at": created,
        "status": status,
        "background": False,
        "error": error,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "model": model,
        "output": output,
        "parallel_tool_calls": False,
        "previous_response_id": previous,
        "conversation": None if conversation is None else {"id": conversation},
        "store": conversation is not None,
        "temperature": 0.0,
        "top_p": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "truncation": "disabled",
        "usage": None,
    }
    if usage is not None:
        body["usage"] = {
            "input_tokens": usage[0],
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": usage[1],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": sum(usage),
        }
    return {**body, **(more or {})}


class Events:
    """Numbers events as they are made."""

    def __init__(self) -> None:
        self._number = -1

    def make(self, kind: str, **fields: Any) -> bytes:
        self._number += 1
        return event({"type": kind, "sequence_number": self._number, **fields}, kind)

    def search_begins(self, index: int, item_id: str) -> Iterator[bytes]:
        item = search_item(item_id, [], None)
        yield self.make("response.output_item.added", output_index=index, item=item)
        for state in ("in_progress", "searching"):
            yield self.make(f"response.file_search_call.{state}", output_index=index, item_id=item_id)

    def search_ends(self, index: int, item: dict[str, Any]) -> Iterator[bytes]:
        yield self.make("response.file_search_call.completed", output_index=index, item_id=item["id"])
        yield self.make("response.output_item.done", output_index=index, item=item)

    def message_begins(self, index: int, item_id: str) -> Iterator[bytes]:
        item = {"id": item_id, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        yield self.make("response.output_item.added", output_index=index, item=item)
        yield self.make(
            "response.content_part.added", output_index=index, content_index=0, item_id=item_id, part=part
        )

    def delta(self, index: int, item_id: str, text: str) -> bytes:
        return self.make(
            "response.output_text.delta",
            output_index=index,
            content_index=0,
            item_id=item_id,
            delta=text,
            logprobs=[],
        )

    def text(self, index: int, item_id: str, text: str) -> Iterator[bytes]:
        for piece in pieces(text):
            yield self.delta(index, item_id, piece)

    def message_ends(self, index: int, item: dict[str, Any]) -> Iterator[bytes]:
        part = item["content"][0]
        place = {"output_index": index, "content_index": 0, "item_id": item["id"]}
        for number, note in enumerate(part["annotations"]):
            yield self.make(
                "response.output_text.annotation.added", **place, annotation_index=number, annotation=note
            )
        yield self.make("response.output_text.done", **place, text=part["text"], logprobs=[])
        yield self.make("response.content_part.done", **place, part=part)
        yield self.make("response.output_item.done", output_index=index, item=item)
