from __future__ import annotations

import torch

from hydra_rag.refusal_bias import RefusalBias


def test_only_the_first_position_and_the_one_token_are_lowered() -> None:
    brake = RefusalBias(first=3, bias=2.0)
    scores = torch.zeros(2, 6)
    prompt = torch.zeros(2, 5, dtype=torch.long)
    lowered = brake(prompt, scores)  # type: ignore[arg-type]
    assert lowered[:, 3].tolist() == [-2.0, -2.0]
    assert torch.equal(lowered[:, [0, 1, 2, 4, 5]], torch.zeros(2, 5))
    assert torch.equal(scores, torch.zeros(2, 6))  # the given scores are not changed
    later = brake(torch.zeros(2, 6, dtype=torch.long), scores)  # type: ignore[arg-type]
    assert torch.equal(later, scores)
