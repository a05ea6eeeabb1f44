"""The model alone: its stream, token by token."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Any

from hydra_rag.values import GenerationResult, TextDelta
from hydra_rag_agents.facade import HydraRAG
from hydra_rag_api.server.admission import Place
from hydra_rag_api.server.asking import stream_thread
from hydra_rag_api.server.services import Services

__all__ = ["MOST_NEW_TOKENS", "Written", "raw_options", "raw_stream"]

#: The longest answer that a client may ask for.
MOST_NEW_TOKENS = 2048


def raw_options(new_tokens: int | None, temperature: float | None, top_p: float | None) -> dict[str, Any]:
    """What a request says about the writing, in the model's words; greedy without a temperature."""
    options: dict[str, Any] = {"max_new_tokens": new_tokens or 256}
    if temperature:
        options |= {"do_sample": True, "temperature": temperature, "top_p": top_p or 1.0}
    return options


def raw_stream(
    services: Services,
    place: Place,
    engine: HydraRAG,
    messages: list[dict[str, Any]],
    seed: int | None,
    options: dict[str, Any],
) -> AsyncGenerator[Any, None]:
    """:class:`TextDelta` values, then the :class:`GenerationResult`."""

    def make() -> Generator[Any]:
        chosen = 0 if seed is None and not options.get("do_sample") else seed
        with engine.model.stream(
            messages, seed=None if chosen is None else chosen % 2**63, **options
        ) as stream:
            yield from stream
            if stream.result is not None:
                yield stream.result

    return stream_thread(services, place, make)


class Written:
    """What the model has written so far."""

    def __init__(self) -> None:
        self.text = ""
        self.finish = "stop"
        self.prompt = self.new = 0

    def take(self, part: Any) -> str:
        """Returns the new text."""
        if isinstance(part, TextDelta):
            self.text += part.text
            return part.text
        if isinstance(part, GenerationResult):
            self.prompt, self.new = part.prompt_tokens, len(part.token_ids)
            self.finish = "length" if part.finish_reason == "length" else "stop"
        return ""
