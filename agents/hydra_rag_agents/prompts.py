"""The text that goes with the shown pages, in the style that the model was trained for."""

from __future__ import annotations

from collections.abc import Sequence

from hydra_rag.prompts import NOT_FOUND_TEXT, READ_PROMPT, ask_prompt, instruct_prompt
from hydra_rag_agents.state import ReaderProfile, Turn

__all__ = ["NOT_FOUND_TEXT", "READ_PROMPT", "glance_prompt", "says_not_found"]

_REFUSALS = (
    NOT_FOUND_TEXT,
    "not found in the documents",
    "not found in the document",
    "unanswerable",
    "not answerable",
    "no answer",
)


def glance_prompt(
    profile: ReaderProfile, turn: Turn, texts: Sequence[tuple[str, str]], *, crops: int = 0
) -> str:
    """``texts``: (page name, chosen lines of its text layer) of the shown pages, in their order.
    ``crops``: images after the pages that show parts of the last one."""
    if profile.style == "nano":
        joined = "\n".join(text for _, text in texts if text)
        return ask_prompt(turn.asked, joined or None)
    prompt = instruct_prompt(turn.asked, texts, turn.history)
    if crops:
        shown = "The last image shows a part" if crops == 1 else f"The last {crops} images show parts"
        prompt = f"{shown} of the page, enlarged.\n\n{prompt}"
    return prompt


def says_not_found(text: str) -> bool:
    """Whether the model's words say that the pages do not hold the answer (or say nothing)."""
    plain = " ".join(text.casefold().split()).strip(" .!\"'`*")
    return not plain or plain in _REFUSALS or plain.startswith(NOT_FOUND_TEXT + ".")
