"""How likely given answers are equals one plain pass over prompt and answer."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hydra_rag.errors import CancelledError
from hydra_rag.model import HydraModel
from hydra_rag.scoring import submit_scores
from tests.hydra_rag.conftest import noise

ANSWERS = [[], [11], [12, 40, 13], [12, 40, 90, 7, 8]]


def _prompt(model: HydraModel, *, image: bool) -> Any:
    content: list[dict[str, Any]] = [{"type": "text", "text": "What is the total?"}]
    if image:
        content.insert(0, {"type": "image", "image": noise(130, 90)})
    return model.processor.chat([{"role": "user", "content": content}], image_tokens=64)


@pytest.mark.parametrize("image", [True, False])
def test_scores_are_those_of_one_plain_pass(engine: HydraModel, plain: Any, image: bool) -> None:
    prompt = _prompt(engine, image=image)
    seen: list[list[float]] = []

    def choose(first: Any) -> list[list[int]]:
        seen.append(list(first))
        return ANSWERS

    found = submit_scores(engine, prompt, choose).result()
    end = plain.generation_config.eos_token_id
    for answer, told in zip(ANSWERS, found, strict=True):
        inputs = prompt.tensors()
        added = torch.tensor([answer], dtype=torch.long)
        for name, more in (
            ("input_ids", added),
            ("attention_mask", torch.ones_like(added)),
            ("mm_token_type_ids", torch.zeros_like(added)),
        ):
            inputs[name] = torch.cat([inputs[name], more], dim=1)
        with torch.no_grad():
            logits = plain(**inputs).logits[0, len(prompt) - 1 :]
        rows = torch.log_softmax(logits.float(), dim=-1)
        torch.testing.assert_close(torch.tensor(seen[0]), rows[0], atol=2e-5, rtol=1e-4)
        wanted = [float(rows[i, token]) for i, token in enumerate(answer)]
        assert told.logprobs == pytest.approx(wanted, abs=2e-5)
        assert told.ends == pytest.approx(rows[:, end].tolist(), abs=2e-5)


def test_scoring_leaves_the_answers_as_they_are(one_engine: HydraModel) -> None:
    messages = [{"role": "user", "content": "What is the total?"}]
    before = one_engine.generate(messages, max_new_tokens=12)
    submit_scores(one_engine, _prompt(one_engine, image=True), lambda _: ANSWERS).result()
    assert one_engine.generate(messages, max_new_tokens=12) == before


def test_a_cancelled_scoring_ends(one_engine: HydraModel) -> None:
    job = submit_scores(one_engine, _prompt(one_engine, image=True), lambda _: ANSWERS * 50)
    job.cancel()
    with pytest.raises(CancelledError):
        job.result()
