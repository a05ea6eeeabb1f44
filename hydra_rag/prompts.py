"""The exact words that models are asked with. ``nano`` is trained on these; changing one changes a model.

A message has the images first, then one text block made here. There is no system message.
``nano``-style models answer with the short value alone, or with :data:`NOT_FOUND_TEXT`.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["NOT_FOUND_TEXT", "READ_PROMPT", "ask_prompt", "instruct_prompt"]

#: Asks for the text of an image of one line, or of a whole page.
READ_PROMPT = "Read the text."

#: What a model answers when the pages do not hold the answer.
NOT_FOUND_TEXT = "not found"


def ask_prompt(question: str, text: str | None = None) -> str:
    """The question for a small trained model; ``text``: lines of the page's text layer, or ``None``."""
    return f"{'Text: ' + text + chr(10) if text else ''}{question}"


def instruct_prompt(
    question: str,
    texts: Sequence[tuple[str, str]] = (),
    history: Sequence[tuple[str, str]] = (),
) -> str:
    """The question for an instruction-following model.

    ``texts``: (page name, lines of its text layer) of shown pages. ``history``: earlier (question,
    answer) pairs of the conversation, oldest first.
    """
    parts = [
        "Answer the question from the document pages shown above, and from nothing else.",
        "Give the value or a short answer as it is printed on the page, without explanation.",
        f'If the pages do not hold the answer, reply exactly "{NOT_FOUND_TEXT}".',
    ]
    blocks = [" ".join(parts)]
    blocks += [f"Text found on {name}:\n{text}" for name, text in texts if text]
    if history:
        talk = "\n".join(f"Question: {asked}\nAnswer: {told}" for asked, told in history)
        blocks.append(f"Earlier in this conversation:\n{talk}")
    blocks.append(f"Question: {question}")
    return "\n\n".join(blocks)
