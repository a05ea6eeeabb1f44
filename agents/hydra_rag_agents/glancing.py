"""One page, one question, as the first glance of ``ask`` puts it; for evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from hydra_rag.geometry import Box
from hydra_rag.values import GenerationResult, Word
from hydra_rag_agents.actions import answer_places, evidence_lines
from hydra_rag_agents.letters import in_letter_words
from hydra_rag_agents.page_lines import choose_lines
from hydra_rag_agents.ports import Reader
from hydra_rag_agents.prompts import glance_prompt, says_not_found
from hydra_rag_agents.spelling import answer_boxes, respell
from hydra_rag_agents.state import AskSettings, Turn
from hydra_rag_agents.wording import reworded

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Glanced", "glance"]


class Glanced(NamedTuple):
    """``places``: words that may be the answer, with their likelihood; none for a model that does not choose
    among words."""

    result: GenerationResult
    places: tuple[tuple[Box, float], ...]


def glance(
    reader: Reader,
    image: Image.Image,
    words: Sequence[Word],
    question: str,
    *,
    name: str = "page",
    respelled: bool = False,
) -> Glanced:
    """``words``: what the model is told of the page beside its picture, or instead; may be none.
    ``respelled``: they are the model's own reading, and the answer is read once more
    (:mod:`hydra_rag_agents.spelling`)."""
    profile = reader.profile
    turn = Turn(question, AskSettings())
    asked = question
    if profile.style == "nano" and words:
        turn = reworded(turn, words)
        asked = in_letter_words(turn.asked, words)
    text = choose_lines(words, asked, profile.text_chars) if words else ""
    prompt = glance_prompt(profile, turn, [(name, text)])
    lines = evidence_lines(profile, [words], asked)
    reading = reader.read([image], prompt, max_new_tokens=profile.max_new_tokens, seed=0, evidence=lines)
    for _ in reading:
        pass
    result = reading.result
    if respelled and reader.can_read:
        boxes = answer_boxes([box for line in lines for box in line.boxes], result.weights, result.text)
        if boxes and not says_not_found(result.text):
            result = replace(result, text=respell(reader, image, boxes, result.text).text)
    return Glanced(result, answer_places(lines, result))
