"""How sure ``nano`` has to be before it refuses: the brake of ``hydra_rag.refusal_bias``, by made pages."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hydra_rag.prompts import NOT_FOUND_TEXT, ask_prompt
from hydra_rag.training.documents import make_page
from hydra_rag.training.documents.absent import absent_question
from hydra_rag.training.samples import text_lines

if TYPE_CHECKING:
    from hydra_rag.model import HydraModel


@dataclass(frozen=True)
class Trial:
    """``margin``: log-odds of the refusal's first token over the best other one; ``present``: the page
    holds the answer."""

    margin: float
    present: bool


def try_refusals(model: HydraModel, *, pages: int, seed: int, text: bool) -> list[Trial]:
    """One question that each of ``pages`` answers and one that it does not, on held-out fonts. ``text``: with
    lines of the page's text beside the image."""
    rng = random.Random(seed)
    first = model.processor.tokenizer.encode(NOT_FOUND_TEXT, add_special_tokens=False)[0]
    out: list[Trial] = []
    while len(out) < 2 * pages:
        rows, cols = rng.randint(4, 8), rng.randint(10, 20)
        page = make_page(rng, cols * 32, rows * 32, size=(16, 20), wear=0.0, fonts="held_out")
        if not page.facts:
            continue
        fact = rng.choice(page.facts)
        missing = absent_question(rng, page)
        shown = text_lines(page, rng, 200) if text else None
        if missing is None or (shown is not None and fact.answer not in shown):
            continue
        for question, present in ((rng.choice(fact.questions), True), (missing, False)):
            out.append(Trial(_margin(model, page.image, ask_prompt(question, shown), first), present))
    return out


def _margin(model: HydraModel, image: object, prompt: str, first: int) -> float:
    """Log-odds of token ``first`` against the best other token at the first step of the answer."""
    kept: list[float] = []

    def watch(input_ids: object, scores: object) -> object:
        row = scores[0].float().clone()  # type: ignore[index]
        refusal = float(row[first])
        row[first] = -math.inf
        kept.append(refusal - float(row.max()))
        return scores

    content = [{"type": "image", "image": image}, {"type": "text", "text": prompt}]
    model.generate([{"role": "user", "content": content}], max_new_tokens=1, logits_processor=[watch])
    return kept[0]


def choose_bias(trials: Sequence[Trial], *, false_refusals: float = 0.1) -> float:
    """The smallest brake under which at most this share of answerable questions is refused; below 0 where
    the model refuses less than that of its own accord."""
    margins = sorted((t.margin for t in trials if t.present), reverse=True)
    if not margins:
        return 0.0
    allowed = math.floor(false_refusals * len(margins))
    return round(margins[min(allowed, len(margins) - 1)], 3)


def recognised(trials: Sequence[Trial], bias: float) -> float:
    """Share of questions without an answer that are refused under ``bias``."""
    absent = [t for t in trials if not t.present]
    return sum(t.margin > bias for t in absent) / max(1, len(absent))
