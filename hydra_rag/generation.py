"""Decoding in slices: transformers' own ``generate`` up to its loop, and its loop as a generator.

``generate`` accepts a decoding function. Ours is transformers' sampling loop with a ``yield`` after every
token, so everything before it (options, cache, logits processors, stopping criteria, positions) is the
library's own, and so are the draws: the same operations in the same order. Modes with another loop (beams,
prompt look-up) run as one slice.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import torch

from hydra_rag.device import RandomState
from hydra_rag.errors import UsageError

__all__ = ["Decoding", "decode_steps"]

_REFUSED = ("streamer", "assistant_model", "custom_generate", "synced_gpus", "num_return_sequences")
_IGNORED = (
    "return_dict_in_generate",
    "output_scores",
    "output_logits",
    "output_attentions",
    "output_hidden_states",
)


@dataclass(slots=True)
class Decoding:
    """What a finished decoding produced."""

    token_ids: list[int]
    logprobs: list[float]
    stopped: bool


def _loop(
    model: Any,
    input_ids: torch.Tensor,
    logits_processor: Any,
    stopping_criteria: Any,
    generation_config: Any,
    synced_gpus: bool = False,
    streamer: Any = None,
    tokenizer: Any = None,
    **model_kwargs: Any,
) -> Generator[tuple[int, float], None, bool]:
    """``GenerationMixin._sample`` for one sequence; yields (token, log-probability), returns whether it
    stopped by itself. Mirrors transformers 5; the test-suite compares the two token by token."""
    do_sample = bool(generation_config.do_sample)
    outputs = model._prefill(input_ids, generation_config, model_kwargs)
    with model._optimize_model_for_decode():
        while True:
            model_kwargs = model._update_model_kwargs_for_generation(
                outputs, model_kwargs, is_encoder_decoder=False
            )
            logits = outputs.logits[:, -1].to(copy=True, dtype=torch.float32, device=input_ids.device)
            del outputs
            scores = logits_processor(input_ids, logits)
            if do_sample:
                probs = torch.nn.functional.softmax(scores, dim=-1)
                tokens = torch.multinomial(probs, num_samples=1).squeeze(1)
            else:
                tokens = torch.argmax(scores, dim=-1)
            token = int(tokens)
            logprob = float(torch.log_softmax(logits[0], dim=-1)[token])
            input_ids = torch.cat([input_ids, tokens[:, None]], dim=-1)
            finished = bool(stopping_criteria(input_ids, None).all())
            yield token, logprob
            if finished:
                return _ended_by_itself(generation_config, input_ids, token)
            length = 1 if model_kwargs["use_cache"] else None
            inputs = model.prepare_inputs_for_generation(
                input_ids, next_sequence_length=length, **model_kwargs
            )
            outputs = model(**inputs, return_dict=True)


def _ended_by_itself(config: Any, input_ids: torch.Tensor, token: int) -> bool:
    ends = getattr(config, "_eos_token_tensor", None)
    if ends is not None and token in ends.flatten().tolist():
        return True
    return config.max_length is None or input_ids.shape[1] < config.max_length


def decode_steps(
    model: Any,
    inputs: dict[str, Any],
    random: RandomState,
    tell: Callable[[int, float], None],
    options: dict[str, Any],
) -> Generator[bool, None, Decoding]:
    """The slices of one generation; ``tell`` hears every token as it is made. Yields true: there is something
    to show.

    ``inputs``: as for ``model.generate`` with one sequence. ``options``: its options. The random state is
    swapped in for each slice that may draw, never held across a ``yield``.
    """
    for name in _REFUSED:
        if options.get(name) not in (None, False, 1):
            raise UsageError(f"generate option {name!r} is not supported here; use transformers directly")
    options = {k: v for k, v in options.items() if k not in _REFUSED and k not in _IGNORED}
    if _other_loop(options):
        return _whole(model, inputs, random, tell, options)
    draws = bool(options["do_sample"])
    done = Decoding([], [], False)
    try:
        with _random(random, draws):
            steps = model.generate(**inputs, **options, custom_generate=_loop)
    except (ValueError, TypeError) as error:
        raise UsageError(f"the generate options were refused: {error}") from error
    try:
        while True:
            try:
                with _random(random, draws):
                    token, logprob = next(steps)
            except StopIteration as stop:
                done.stopped = bool(stop.value)
                return done
            done.token_ids.append(token)
            done.logprobs.append(logprob)
            tell(token, logprob)
            yield True
    finally:
        steps.close()


def _random(random: RandomState, draws: bool) -> contextlib.AbstractContextManager[None]:
    return random.active() if draws else contextlib.nullcontext()


def _other_loop(options: dict[str, Any]) -> bool:
    return (
        (options.get("num_beams") or 1) > 1
        or options.get("prompt_lookup_num_tokens") is not None
        or options.get("penalty_alpha") is not None
        or options.get("generation_config") is not None
        or options.get("prefill_chunk_size") is not None
    )


def _whole(
    model: Any,
    inputs: dict[str, Any],
    random: RandomState,
    tell: Callable[[int, float], None],
    options: dict[str, Any],
) -> Decoding:
    """Modes with another loop, as one call; without log-probabilities."""
    with random.active():
        sequences = model.generate(**inputs, **options)
    ids = [int(i) for i in sequences[0, inputs["input_ids"].shape[1] :]]
    for token in ids:
        tell(token, float("nan"))
    ends = model.generation_config.eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    return Decoding(ids, [], bool(ids) and ids[-1] in ends)
