"""Signs by which an answer is chosen among the spans of a page, and what each of them weighs.

The choice is a conditional logit (McFadden 1974, Conditional logit analysis of qualitative choice
behavior): every span, and the refusal, has a score that is the weighted sum of its signs, and the chance of
each is the softmax of the scores. The signs are what the model says (the likelihood of the characters), what
the layout says (:mod:`hydra_rag_agents.priors`), and the form of the words. The weights are learned from
answered questions (:mod:`hydra_rag_agents.span_fit`) and stand beside the adapter.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from math import log
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hydra_rag.errors import ModelError
from hydra_rag_agents.contradictions import contradicts
from hydra_rag_agents.kinds import asked_kind, shape, told_kind
from hydra_rag_agents.ports import WordPrior
from hydra_rag_agents.text_context import content_tokens, said, without_fractions

if TYPE_CHECKING:
    from hydra_rag.model import HydraModel

__all__ = [
    "DEFAULT",
    "FILE",
    "Asked",
    "Signs",
    "Span",
    "load_weights",
    "save_weights",
    "score",
    "span_weights_for",
]

Signs = dict[str, float]
FILE = "answers.json"
_FORMAT = 1
#: Without a file: the model's likelihood, the layout's for the beginning and the end, a cost of refusing.
DEFAULT: Mapping[str, float] = {
    "model": 1.0,
    "begins": 18.0,
    "stops": 3.0,
    "refused model": 1.0,
    "refused": -13.0,
    "unsaid": -4.0,
    "contradicts": -8.0,
}
_LEAST = 1e-3
#: A value that the layout supports so much has a label that says all that is asked for.
_TOLD = 0.95

logger = logging.getLogger(__name__)


class Span(NamedTuple):
    """A run of words that may be the answer. ``logprobs``: of its characters; ``end``: of ending there.
    ``prior``: the layout's of its first word; ``stops``: log-odds of ending there. ``after``: what follows
    it in its cell or sentence."""

    text: str
    logprobs: Sequence[float]
    end: float
    prior: WordPrior
    stops: float
    after: str


class Asked:
    """The signs of the spans for one question."""

    def __init__(self, question: str, spans: Sequence[Span]) -> None:
        self._question = question
        self._kind, self._words = asked_kind(question), set(content_tokens(question))
        self._begins = max((log(max(_LEAST, span.prior.begins)) for span in spans), default=0.0)
        self._supports = max((log(max(_LEAST, span.prior.supports)) for span in spans), default=log(_LEAST))
        self._model = max((sum(span.logprobs) + span.end for span in spans), default=0.0)

    def of(self, span: Span) -> Signs:
        told, words = told_kind(span.text), span.text.split()
        begins = log(max(_LEAST, span.prior.begins))
        follows = span.after.strip(" .,;:!?)]”\"'").split()
        total = sum(span.logprobs) + span.end
        return {
            "model": total,
            "model first": span.logprobs[0],
            "model end": span.end,
            "model mean": 5 * total / (len(span.logprobs) + 1),
            "begins": begins,
            "begins below": begins - self._begins,
            "begins best": float(begins >= self._begins),
            "stops": span.stops,
            "supports": log(max(_LEAST, span.prior.supports)),
            "place": span.prior.place,
            "unsaid": float(not span.prior.place),
            "contradicts": float(span.prior.supports < _TOLD and contradicts(self._question, span.text)),
            "opens": float(span.prior.opens),
            "prose": float(span.prior.prose),
            "whole cell": float(span.prior.opens and not follows),
            "words": len(words) / 3,
            "length": log(len(span.text)),
            "asked": len(said(self._words, content_tokens(without_fractions(span.text)))) / len(words),
            f"kind: {told}": 1.0,
            f"kind: {self._kind} > {told}": 1.0,
            f"first: {shape(words[0])}{' alone' if len(words) == 1 else ''}": 1.0,
            f"last: {shape(words[-1])} > {shape(follows[0] if follows else '')}": 1.0,
            f"then: {span.after[:1].strip() or ('space' if span.after else 'end')}": 1.0,
        }

    def refusal(self, logprobs: Sequence[float], end: float) -> Signs:
        """Of answering that nothing is found; ``logprobs`` and ``end`` as of a :class:`Span`."""
        return {
            "refused": 1.0,
            "refused model": sum(logprobs) + end,
            "refused model first": logprobs[0],
            "refused begins": self._begins,
            "refused supports": self._supports,
            "refused spans": self._model,
            f"refused: {self._kind}": 1.0,
        }


def score(signs: Signs, weights: Mapping[str, float]) -> float:
    """The weighted sum; signs without a weight count nothing."""
    return sum(weights.get(name, 0.0) * value for name, value in signs.items())


def span_weights_for(model: HydraModel) -> Mapping[str, float]:
    """Those beside the model's adapter, where they were learned with its very weights; else :data:`DEFAULT`.
    Raises :class:`ModelError` for a file that holds none."""
    from hydra_rag.saliency.calibration import calibration_path

    path = calibration_path(model).with_name(FILE)
    if not path.is_file():
        return DEFAULT
    made_for, weights = load_weights(path)
    if made_for != model.weights_fingerprint:
        logger.warning("%s was made for other weights and is not used; run 'hydra-rag model answers'", path)
        return DEFAULT
    return weights


def load_weights(path: Path) -> tuple[str, Mapping[str, float]]:
    """(digest of the base weights that it was made with, weight by sign)."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != _FORMAT:
            raise ValueError("unknown format")
        return str(data["weights"]), {str(name): float(value) for name, value in data["signs"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"{path} can't be read ({error}); delete it or run 'hydra-rag model answers'"
        ) from error


def save_weights(
    path: Path, weights: Mapping[str, float], made_for: str, measured: Mapping[str, float]
) -> None:
    """``made_for``: digest of the base weights; ``measured``: figures about the choice, for people."""
    rounded = {name: round(value, 4) for name, value in weights.items() if round(value, 4)}
    data = {"format": _FORMAT, "weights": made_for, "signs": rounded, "measured": dict(measured)}
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)
