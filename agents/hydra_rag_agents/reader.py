"""The reader that the agent uses, made of a model. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from hydra_rag.errors import CancelledError
from hydra_rag.prompts import NOT_FOUND_TEXT, READ_PROMPT
from hydra_rag.values import GenerationResult, MultiVector, QueryItem, TextDelta
from hydra_rag_agents.gate import Gate
from hydra_rag_agents.ports import EvidenceLine, Reading, Transcribed
from hydra_rag_agents.span_signs import span_weights_for
from hydra_rag_agents.spans import Option, Spans
from hydra_rag_agents.state import ReaderProfile

if TYPE_CHECKING:
    from PIL import Image

    from hydra_rag.model import HydraModel
    from hydra_rag.saliency.calibration import Calibration
    from hydra_rag.saliency.maps import SaliencyMap

__all__ = ["NANO", "ModelReader", "image_message", "model_profile", "profile_of"]

#: A small trained model: one page a prompt, a few characters of text layer, short values.
NANO = ReaderProfile(
    style="nano",
    image_tokens=1024,
    text_chars=400,
    max_new_tokens=48,
    threshold=0.6,
    threshold_text=0.15,
    sure=0.9,
    bound=True,
    bound_image=False,
    beside=False,
    text_px=27,
    context=(1.0, 0.12),
)
#: Template tokens round the content; generous.
_OVERHEAD = 64


def profile_of(settings: Mapping[str, Any] | None, *, image_tokens: int | None = None) -> ReaderProfile:
    """The profile from the ``reader`` part of an adapter's ``hydra.json``; defaults for what it lacks."""
    data = dict(settings or {})
    base = NANO if data.get("style") == "nano" else ReaderProfile()
    known = {f.name for f in fields(ReaderProfile)}
    given = {key: value for key, value in data.items() if key in known}
    if "context" in given:
        given["context"] = tuple(given["context"])
    profile = replace(base, **given)
    return replace(profile, image_tokens=image_tokens) if image_tokens else profile


def model_profile(model: HydraModel) -> ReaderProfile:
    """The profile of a loaded model, from its adapter where it has one."""
    spec = getattr(model.retrieval, "spec", None)
    tokens = getattr(spec, "answer_tokens", None)
    return profile_of(getattr(spec, "reader", None), image_tokens=tokens)


def image_message(images: Sequence[Image.Image], text: str) -> list[dict[str, Any]]:
    """One user message: the images, then the text."""
    content: list[dict[str, Any]] = [{"type": "image", "image": image} for image in images]
    return [{"role": "user", "content": [*content, {"type": "text", "text": text}]}]


class ModelReader:
    """The answer view and the query embedding of a model that is loaded on first use."""

    def __init__(
        self,
        model: Callable[[], HydraModel],
        calibration: Calibration | None = None,
        *,
        watch: Callable[[Sequence[Option]], object] | None = None,
    ) -> None:
        """``watch``: told what every answer was chosen from."""
        self._model = model
        self._watch = watch
        self._profile: ReaderProfile | None = None
        self._calibration = calibration
        self._weights: Mapping[str, float] | None = None

    @property
    def profile(self) -> ReaderProfile:
        if self._profile is None:
            self._profile = model_profile(self._model())
        return self._profile

    @property
    def fingerprint(self) -> str:
        return self._model().fingerprint

    def read(
        self,
        images: Sequence[Image.Image],
        text: str,
        *,
        max_new_tokens: int,
        seed: int,
        evidence: Sequence[EvidenceLine] = (),
    ) -> Reading:
        model = self._model()
        if evidence and self.profile.bound:
            encode = partial(model.processor.tokenizer.encode, add_special_tokens=False)
            question = text.rpartition("\n")[2]
            spans = Spans(
                evidence,
                encode,
                question=question,
                refusal=NOT_FOUND_TEXT,
                longest=max_new_tokens,
                weights=self._span_weights(),
            )
            if spans:
                shown = images if self.profile.bound_image else ()
                return SpanReading(model, image_message(shown, text), spans, self._watch)
        options: dict[str, Any] = {"max_new_tokens": max_new_tokens, "do_sample": False}
        if brake := self._brake(text):
            options["logits_processor"] = [_braked(model, brake)]
        return StreamReading(model.stream(image_message(images, text), seed=seed, **options))

    def _span_weights(self) -> Mapping[str, float]:
        if self._weights is None:
            self._weights = span_weights_for(self._model())
        return self._weights

    def _brake(self, prompt: str) -> float:
        if prompt == READ_PROMPT:
            return 0.0
        text = prompt.startswith("Text: ")
        return self.profile.refusal_bias_text if text else self.profile.refusal_bias

    def tokens(self, images: int, text: str, max_new_tokens: int) -> int:
        # A token stands for at least one byte; every image is cut to its budget.
        return images * (self.profile.image_tokens + 2) + len(text.encode()) + _OVERHEAD + max_new_tokens

    def embed(self, item: QueryItem) -> MultiVector:
        return self._model().embed_queries([item])[0]

    @property
    def can_read(self) -> bool:
        return self._model().can_read

    def transcribe(self, image: Image.Image) -> Transcribed:
        model, most = self._model(), self.profile.image_tokens
        words = model.read_pages([image], max_tokens=most, close=False, lane="chat")[0]
        return Transcribed(tuple(words), model.processor.grid(*image.size, max_tokens=most).cells)

    @property
    def gate(self) -> Gate:
        """From the calibration beside the adapter; documented defaults without one."""
        return Gate.of(self._calibrated().gate)

    def look(self, image: Image.Image, question: str) -> SaliencyMap:
        from hydra_rag.saliency.probes import look

        return look(self._model(), image, question, calibration=self._calibrated())

    def look_tokens(self, question: str) -> int:
        # One prefix with the image, and two short suffixes: the question and the idle instruction.
        idle = len(self._calibrated().generic.encode())
        return self.profile.image_tokens + 2 + len(question.encode()) + idle + 10 * _OVERHEAD

    def sharpness(self, width: int, height: int) -> float:
        processor = self._model().processor
        grid = processor.grid(width, height)
        return min(grid.cols * processor.cell / width, grid.rows * processor.cell / height)

    def _calibrated(self) -> Calibration:
        if self._calibration is None:
            from hydra_rag.saliency.calibration import calibration_for

            self._calibration = calibration_for(self._model())
        return self._calibration


def _braked(model: HydraModel, bias: float) -> Any:
    from hydra_rag.refusal_bias import RefusalBias

    first = model.processor.tokenizer.encode(NOT_FOUND_TEXT, add_special_tokens=False)[0]
    return RefusalBias(int(first), bias)


class SpanReading:
    """The likeliest span of the evidence as a :class:`Reading`: there at once, when all are scored."""

    def __init__(
        self,
        model: HydraModel,
        messages: list[dict[str, Any]],
        spans: Spans,
        watch: Callable[[Sequence[Option]], object] | None = None,
    ) -> None:
        from hydra_rag.scoring import submit_scores

        prompt = model.processor.chat(messages)
        self._model, self._spans, self._size, self._watch = model, spans, len(prompt), watch
        self._job = submit_scores(model, prompt, spans.choose)
        self._result: GenerationResult | None = None

    def __iter__(self) -> Iterator[TextDelta]:
        try:
            scored = self._job.result()
        except CancelledError:
            return
        options = self._spans.options(scored)
        if self._watch is not None:
            self._watch(options)
        chosen = self._spans.best(options)
        encode = self._model.processor.tokenizer.encode
        ids = tuple(int(i) for i in encode(chosen.text, add_special_tokens=False))
        weights = self._spans.weights(options)
        self._result = GenerationResult(
            chosen.text, ids, "stop", chosen.logprobs, self._size, chosen.chance, weights
        )
        yield TextDelta(chosen.text, ids)

    @property
    def result(self) -> GenerationResult:
        return self._result or GenerationResult("", (), "cancelled", prompt_tokens=self._size)

    def close(self) -> None:
        self._job.cancel()


class StreamReading:
    """A model's stream as a :class:`Reading`: the result is there also when it was closed early."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._text: list[str] = []
        self._ids: list[int] = []
        self._closed = False

    def __iter__(self) -> Iterator[TextDelta]:
        for delta in self._stream:
            self._text.append(delta.text)
            self._ids.extend(delta.token_ids)
            yield delta

    @property
    def result(self) -> GenerationResult:
        made = getattr(self._stream, "result", None)
        if isinstance(made, GenerationResult):
            return made
        return GenerationResult("".join(self._text), tuple(self._ids), "cancelled")

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            close = getattr(self._stream, "close", None)
            if close is not None:
                close()
