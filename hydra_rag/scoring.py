"""How likely given answers are: the prompt runs once, continuations on copies of its cache.

Copies, because cutting a cache back is wrong for recurrent layers. The log-probabilities are those of one
plain pass over prompt and continuation (tests hold them together).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from hydra_rag.inputs import Prompt
from hydra_rag.scheduler import Job
from hydra_rag.vision import VisionCache, encoder_outputs

if TYPE_CHECKING:
    from hydra_rag.model import HydraModel

#: Continuations of one pass: more would hold other requests up longer.
_TOGETHER = 8

__all__ = ["Continuation", "score_steps", "submit_scores"]


@dataclass(frozen=True, slots=True)
class Continuation:
    """``logprobs``: natural log-probability of each token; ``ends``: of the answer ending before each token,
    and after the last one (one entry more)."""

    logprobs: tuple[float, ...]
    ends: tuple[float, ...]


def score_steps(
    base: Any,
    vision: VisionCache,
    prompt: Prompt,
    choose: Callable[[Sequence[float]], Sequence[Sequence[int]]],
    ends: Sequence[int],
) -> Callable[[], Generator[None, None, list[Continuation]]]:
    """The job of one scoring. ``choose``: from the log-probabilities of the first token (by id) to the token
    ids of the continuations; ``ends``: ids that end an answer."""

    def steps() -> Generator[None, None, list[Continuation]]:
        from transformers import DynamicCache

        tree, device = base.model, base.device
        inputs: dict[str, Any] = prompt.tensors(device, pixels=False)
        if prompt.images:
            inputs["mm_encoder_outputs"] = encoder_outputs(vision.features(base, prompt.images, device))
            yield
        kinds, grids = inputs.pop("mm_token_type_ids"), inputs.get("image_grid_thw")
        spots, _ = tree.get_rope_index(inputs["input_ids"], mm_token_type_ids=kinds, image_grid_thw=grids)
        cache = DynamicCache(config=tree.language_model.config)
        out = tree(**inputs, position_ids=spots, past_key_values=cache, use_cache=True, return_dict=True)
        first = _chances(base, out.last_hidden_state[0, -1:])
        after = int(spots.max()) + 1
        yield
        asked = [list(ids) for ids in choose(first[0].tolist())]
        found: list[Continuation | None] = [None] * len(asked)
        by_length = sorted(range(len(asked)), key=lambda i: len(asked[i]))
        for start in range(0, len(by_length), _TOGETHER):
            group = by_length[start : start + _TOGETHER]
            longest = max(len(asked[i]) for i in group)
            rows = first.expand(len(group), 1, -1)
            if longest:
                # Behind a shorter one stands padding, which nothing before it sees.
                padded = torch.tensor([asked[i] + [0] * (longest - len(asked[i])) for i in group])
                places = torch.arange(after, after + longest, device=device)
                copied = copy.deepcopy(cache)
                same = torch.zeros(len(group), dtype=torch.long, device=device)
                copied.reorder_cache(same)  # type: ignore[arg-type]
                out = tree(
                    input_ids=padded.to(device),
                    position_ids=places.expand(spots.shape[0], len(group), -1),
                    past_key_values=copied,
                    use_cache=True,
                    return_dict=True,
                )
                rows = torch.cat([rows, _chances(base, out.last_hidden_state)], dim=1)
                yield
            stops = rows[..., list(ends)].logsumexp(-1)
            for row, stop, i in zip(rows, stops, group, strict=True):
                told = [float(row[n, token]) for n, token in enumerate(asked[i])]
                found[i] = Continuation(tuple(told), tuple(stop[: len(told) + 1].tolist()))
        return [told for told in found if told is not None]

    return steps


def _chances(base: Any, hidden: torch.Tensor) -> torch.Tensor:
    """float32 [..., vocabulary] log-probabilities."""
    return torch.log_softmax(base.lm_head(hidden).float(), dim=-1)


def submit_scores(
    model: HydraModel, prompt: Prompt, choose: Callable[[Sequence[float]], Sequence[Sequence[int]]]
) -> Job[list[Continuation]]:
    """Ask the answer view how likely continuations of a chat ``prompt`` are; returns at once.

    ``choose``: given the log-probability of every token to come first (float [vocabulary]), the continuations
    to be scored, as token ids. Runs on the model's thread, between other requests' slices.
    """
    ends = model.base_model.generation_config.eos_token_id
    ids = tuple(ends) if isinstance(ends, list) else (int(ends),)
    steps = score_steps(model.base_model, model.vision, prompt, choose, ids)
    return model.scheduler.submit("chat", steps)
