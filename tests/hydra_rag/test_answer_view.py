"""The answer view gives what the plain transformers class gives, token by token."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import pytest
import torch

from hydra_rag.errors import CancelledError, HydraError, OutOfMemoryError, UsageError
from hydra_rag.model import HydraModel

from .conftest import ask, noise

PROMPTS: list[list[dict[str, Any]]] = [
    ask(text="Hello there"),
    ask(noise(120, 90), text="What?"),
    ask(noise(64, 200, 1), noise(220, 60, 2), text="Compare both."),
    [
        {"role": "user", "content": "first question"},
        {"role": "assistant", "content": "an answer"},
        {
            "role": "user",
            "content": [{"type": "image", "image": noise(90, 90, 3)}, {"type": "text", "text": "then?"}],
        },
    ],
]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"do_sample": True, "temperature": 0.8, "top_p": 0.9},
    {"do_sample": True, "top_k": 5, "repetition_penalty": 1.3},
    {"num_beams": 2},
    {"no_repeat_ngram_size": 2, "min_new_tokens": 3},
]


def reference(plain: Any, engine: HydraModel, messages: Any, seed: int, **options: Any) -> list[int]:
    inputs = engine.processor.apply_chat_template(
        messages, tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )
    torch.manual_seed(seed)
    out = plain.generate(**inputs, **{"do_sample": False, "max_new_tokens": 16, **options})
    return [int(i) for i in out[0, inputs["input_ids"].shape[1] :]]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(o) or "greedy")
def test_equals_the_plain_class(engine: HydraModel, plain: Any, options: dict[str, Any]) -> None:
    for index, messages in enumerate(PROMPTS):
        got = engine.generate(messages, seed=index, max_new_tokens=16, **options)
        assert list(got.token_ids) == reference(plain, engine, messages, index, **options)


def test_equals_the_plain_class_while_pages_are_embedded(engine: HydraModel, plain: Any) -> None:
    wanted = [
        reference(plain, engine, messages, 5, **options) for messages in PROMPTS for options in OPTIONS[:2]
    ]
    stop = threading.Event()
    errors: list[HydraError] = []
    embedded: list[Any] = []

    def embed() -> None:
        try:
            while not stop.is_set():
                embedded.extend(engine.embed_pages([noise(150, 150, len(embedded)), noise(90, 200)]))
        except HydraError as error:  # pragma: no cover
            errors.append(error)

    worker = threading.Thread(target=embed)
    worker.start()
    try:
        got = []
        for messages in PROMPTS:
            for options in OPTIONS[:2]:
                got.append(list(engine.generate(messages, seed=5, max_new_tokens=16, **options).token_ids))
    finally:
        stop.set()
        worker.join()
    assert got == wanted
    assert not errors
    assert embedded


def test_concurrent_sampled_streams_do_not_mix(one_engine: HydraModel) -> None:
    options: dict[str, Any] = {"do_sample": True, "max_new_tokens": 20, "temperature": 1.1}
    alone = [one_engine.generate(m, seed=i, **options).token_ids for i, m in enumerate(PROMPTS)]
    streams = [one_engine.stream(m, seed=i, **options) for i, m in enumerate(PROMPTS)]
    order = random.Random(0)
    alive = list(streams)
    while alive:
        stream = order.choice(alive)
        if next(stream, None) is None:
            alive.remove(stream)
    assert [s.result.token_ids for s in streams if s.result] == alone


def test_seed_none_continues_the_global_generator(one_engine: HydraModel) -> None:
    options: dict[str, Any] = {"do_sample": True, "max_new_tokens": 12}
    torch.manual_seed(3)
    first, second = (one_engine.generate(PROMPTS[0], **options).token_ids for _ in range(2))
    assert first == one_engine.generate(PROMPTS[0], seed=3, **options).token_ids
    assert first != second


def test_stream_pieces_add_up(engine: HydraModel) -> None:
    stream = engine.stream(PROMPTS[1], max_new_tokens=24)
    pieces = list(stream)
    assert stream.result is not None
    assert "".join(p.text for p in pieces) == stream.result.text
    assert tuple(i for p in pieces for i in p.token_ids) == stream.result.token_ids
    assert stream.result.text == engine.processor.decode(stream.result.token_ids)


def test_confidence_is_the_models_probability(one_engine: HydraModel) -> None:
    result = one_engine.generate(PROMPTS[1], max_new_tokens=6, temperature=0.5, do_sample=True, seed=1)
    prompt = one_engine.processor.chat(PROMPTS[1])
    inputs: dict[str, Any] = prompt.tensors()
    ids = torch.tensor([[*prompt.token_ids, *result.token_ids]])
    inputs |= {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    kinds = inputs["mm_token_type_ids"]
    inputs["mm_token_type_ids"] = torch.nn.functional.pad(kinds, (0, len(result.token_ids)))
    with torch.no_grad():
        logits = one_engine.base_model(**inputs).logits[0, len(prompt) - 1 : -1].float()
    wanted = torch.log_softmax(logits, -1).gather(1, torch.tensor(result.token_ids)[:, None])[:, 0]
    torch.testing.assert_close(torch.tensor(result.logprobs), wanted, atol=1e-4, rtol=1e-4)
    assert result.prompt_tokens == len(prompt)


def test_closing_a_stream_frees_the_model(one_engine: HydraModel) -> None:
    stream = one_engine.stream(PROMPTS[0], max_new_tokens=4000, eos_token_id=999999)
    first = [next(stream).token_ids for _ in range(3)]
    assert len(first) == 3
    stream.close()
    deadline = time.monotonic() + 1.0
    rest = list(stream)
    assert stream.result is not None
    assert stream.result.finish_reason == "cancelled"
    assert time.monotonic() < deadline
    assert len(stream.result.token_ids) == 3 + sum(len(p.token_ids) for p in rest)


def test_dropping_a_stream_stops_it(one_engine: HydraModel) -> None:
    stream = one_engine.stream(PROMPTS[0], max_new_tokens=4000, eos_token_id=999999)
    next(stream)
    job = stream._job
    del stream
    with pytest.raises(CancelledError):
        job.result()


def test_out_of_memory_costs_one_request(one_engine: HydraModel, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = one_engine.generate(PROMPTS[1], max_new_tokens=4).token_ids
    layer = one_engine.base_model.model.language_model.layers[2]

    def fail(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    with monkeypatch.context() as patch:
        patch.setattr(layer, "forward", fail)
        with pytest.raises(OutOfMemoryError, match="image_tokens"):
            one_engine.generate(PROMPTS[1], max_new_tokens=4)
    assert one_engine.generate(PROMPTS[1], max_new_tokens=4).token_ids == wanted


@pytest.mark.parametrize(
    "options", [{"num_return_sequences": 2}, {"nonsense_option": 1}, {"temperature": -1.0, "do_sample": True}]
)
def test_impossible_options_are_usage_errors(one_engine: HydraModel, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        one_engine.generate(PROMPTS[0], **options)


def test_stop_reasons(one_engine: HydraModel) -> None:
    free = one_engine.generate(PROMPTS[0], max_new_tokens=8)
    stopped = one_engine.generate(PROMPTS[0], max_new_tokens=8, eos_token_id=free.token_ids[2])
    assert stopped.finish_reason == "stop"
    assert stopped.token_ids == free.token_ids[: free.token_ids.index(free.token_ids[2]) + 1]
    assert one_engine.generate(PROMPTS[0], max_new_tokens=2).finish_reason == "length"


def test_weights_are_untouched(family: str, engine: HydraModel, plain: Any) -> None:
    engine.generate(PROMPTS[1], max_new_tokens=4)
    engine.embed_pages([noise(80, 80)])
    mine, theirs = engine.base_model.state_dict(), plain.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
