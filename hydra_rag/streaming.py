"""One answer under way: an iterator over its text, fed by the model's thread."""

from __future__ import annotations

import queue
import weakref
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

from hydra_rag.device import RandomState
from hydra_rag.errors import CancelledError
from hydra_rag.generation import Decoding, decode_steps
from hydra_rag.inputs import Prompt
from hydra_rag.textstream import TextStream
from hydra_rag.values import GenerationResult, TextDelta
from hydra_rag.vision import encoder_outputs

if TYPE_CHECKING:
    from hydra_rag.model import HydraModel

__all__ = ["AnswerStream"]

DEFAULT_NEW_TOKENS = 256


class AnswerStream(Iterator[TextDelta]):
    """Pieces of one answer as they are made; each has the token it came from, some have no text yet.

    ``result`` is set when the iterator is exhausted or closed. Closing it, dropping it, or leaving its
    ``with`` block stops the generation before its next layer. Iterate from one thread at a time; closing
    is safe from any.
    """

    def __init__(self, model: HydraModel, prompt: Prompt, seed: int | None, options: dict[str, Any]) -> None:
        self.result: GenerationResult | None = None
        self._model = model  # a stream keeps its model alive
        self._prompt = prompt
        self._events: queue.SimpleQueue[tuple[int, float] | None] = queue.SimpleQueue()
        self._text = TextStream(model.processor.decode, thinking=prompt.text.rstrip().endswith("<think>"))
        self._tokens: list[tuple[int, float]] = []
        self._closed = False
        options = {"do_sample": False, **options}
        if options.get("stop_strings") and "tokenizer" not in options:
            options["tokenizer"] = model.processor.tokenizer
        if not {"max_new_tokens", "max_length", "generation_config"} & set(options):
            options["max_new_tokens"] = DEFAULT_NEW_TOKENS
        if seed is None and not options["do_sample"]:
            seed = 0  # nothing is drawn: leave the global generators as they are
        random = RandomState(model.device, seed)
        self._job = model.scheduler.submit("chat", _steps(model, prompt, random, options, self._events))
        events = self._events  # also a job that is cancelled before it began must wake its reader
        self._job.when_done(lambda: events.put(None))
        self._finalizer = weakref.finalize(self, self._job.cancel)

    def __next__(self) -> TextDelta:
        if self.result is not None:
            raise StopIteration
        event = self._events.get()
        if event is not None:
            self._tokens.append(event)
            return TextDelta(self._text.push(event[0]), (event[0],))
        try:
            done = self._job.result()
        except CancelledError:
            if not self._closed:
                raise
            tokens, logprobs = [t for t, _ in self._tokens], [p for _, p in self._tokens]
            self._finish(Decoding(tokens, logprobs, False), "cancelled")
            raise StopIteration from None
        rest = self._text.finish()
        self._finish(done, "stop" if done.stopped else "length")
        if rest:
            return TextDelta(rest)
        raise StopIteration

    def _finish(self, done: Decoding, reason: str) -> None:
        self.result = GenerationResult(
            text=self._text.text,
            token_ids=tuple(done.token_ids),
            finish_reason=reason,
            logprobs=tuple(done.logprobs),
            prompt_tokens=len(self._prompt),
        )

    def close(self) -> None:
        """Stop generating. What was made so far is read to its end; the reason is then ``cancelled``."""
        self._closed = True
        self._job.cancel()

    def __enter__(self) -> AnswerStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _steps(
    model: HydraModel,
    prompt: Prompt,
    random: RandomState,
    options: dict[str, Any],
    events: queue.SimpleQueue[tuple[int, float] | None],
) -> Any:
    """The job of one answer. It refers to the model's parts, never to the stream: a dropped stream must be
    collected, and thereby cancelled, while its job runs."""
    vision, base, device = model.vision, model.base_model, model.device

    def steps() -> Generator[bool, None, Decoding]:
        try:
            inputs: dict[str, Any] = prompt.tensors(device, pixels=False)
            if prompt.images:
                inputs["mm_encoder_outputs"] = encoder_outputs(vision.features(base, prompt.images, device))
                yield False
            tell = lambda token, logprob: events.put((token, logprob))  # noqa: E731
            return (yield from decode_steps(base, inputs, random, tell, options))
        finally:
            events.put(None)

    return steps
