"""Learn what the signs of a span weigh, from the answered questions of evaluation folders.

Maximises the chance of the right spans (of the refusal, where a page has no answer) with a quadratic
penalty, by L-BFGS. Names of forms (``kind: date``) are rare: they are held closer to nothing than figures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hydra_rag.errors import UsageError
from hydra_rag.metrics import exact_match
from hydra_rag.prompts import NOT_FOUND_TEXT
from hydra_rag_agents.span_signs import DEFAULT, Signs, score
from hydra_rag_agents.spans import Option
from hydra_rag_agents.text_context import content_tokens

if TYPE_CHECKING:
    import torch

    from hydra_rag.model import HydraModel

__all__ = ["Case", "cross_checked", "fit_weights", "gather", "share_right"]

#: Penalties on squared weights of figures and of forms, for all questions together.
_FIGURES, _FORMS = 0.02, 1.0
#: What a question that was asked of another page counts beside one that was asked of its own.
_ELSEWHERE = 0.3
#: Only so many spans of a question, the best ones by the weights at hand.
_SPANS = 40
_STEPS = 150


@dataclass(frozen=True)
class Case:
    """One question: what may be answered, and which of it is right. ``elsewhere``: it was asked of a page
    that has nothing to do with it."""

    signs: tuple[Signs, ...]
    right: tuple[bool, ...]
    elsewhere: bool = False


def gather(
    folder: Path,
    model: HydraModel,
    *,
    limit: int | None = None,
    read: bool = False,
    others: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Case]:
    """A case of every question of an evaluation folder. ``limit``: of the first pages only. ``read``: of the
    words that the model reads itself instead of the folder's. ``others``: every question is also asked of so
    many pages that share most words with it and do not print its answer, as happens where a search finds the
    wrong page."""
    from hydra_rag_agents.eval_data import open_image, read_pages
    from hydra_rag_agents.glancing import glance
    from hydra_rag_agents.reader import ModelReader

    seen: list[Sequence[Option]] = []
    reader = ModelReader(lambda: model, watch=seen.append)
    if not reader.profile.bound:
        raise UsageError(f"{model.name} writes its answers itself; only 'nano' chooses them among words.")
    pages, cases = read_pages(folder)[:limit], []
    texts = [" ".join(word.text for word in page.words) for page in pages]
    for done, page in enumerate(pages, start=1):
        image = open_image(folder, page.image)
        words = model.read_pages([image])[0] if read else page.words
        for asked in page.questions if words else ():
            seen.clear()
            glance(reader, image, words, asked.question, name=page.image)
            cases += [case_of(options, asked.answer) for options in seen]
            if asked.answer is None:
                continue
            for other in _alike(texts, done - 1, asked.question, asked.answer)[:others]:
                seen.clear()
                glance(reader, image, pages[other].words, asked.question, name=pages[other].image)
                cases += [replace(case_of(options, None), elsewhere=True) for options in seen]
        if progress is not None:
            progress(done, len(pages))
    return cases


def _alike(texts: Sequence[str], own: int, question: str, answer: str) -> list[int]:
    """The other pages by how many words of the question they have, without those that print the answer."""
    words = set(content_tokens(question))
    there = [n for n, text in enumerate(texts) if n != own and answer.casefold() not in text.casefold()]
    return sorted(there, key=lambda n: -len(words & set(content_tokens(texts[n]))))


def case_of(options: Sequence[Option], answer: str | None) -> Case:
    """``answer``: the true one, ``None`` where the page has none."""
    known = sorted(options, key=lambda option: (option.word >= 0, -score(option.signs, DEFAULT)))[
        : _SPANS + 1
    ]
    right = (option.word < 0 if answer is None else is_right(option, answer) for option in known)
    return Case(tuple(option.signs for option in known), tuple(right))


def is_right(option: Option, answer: str) -> bool:
    return option.word >= 0 and option.text != NOT_FOUND_TEXT and exact_match(option.text, answer)


def share_right(cases: Sequence[Case], weights: Mapping[str, float]) -> float:
    """Share of the cases whose best option is a right one."""

    def best(case: Case) -> int:
        scores = [score(signs, weights) for signs in case.signs]
        return scores.index(max(scores))

    return sum(case.right[best(case)] for case in cases) / max(1, len(cases))


def cross_checked(cases: Sequence[Case], parts: int = 4) -> dict[str, float]:
    """``questions`` asked of their own page; shares of them that are chosen right ``before``, by the weights
    without learning, and ``after``: each part of them by what was learned from the others. Parts are
    neighbours, so that the questions of a page mostly stay together."""
    size = -(-len(cases) // parts) or 1
    blocks = [cases[start : start + size] for start in range(0, len(cases), size)]
    own, right = [case for case in cases if not case.elsewhere], 0.0
    for number, block in enumerate(blocks):
        others = [case for other in blocks[:number] + blocks[number + 1 :] for case in other]
        known = any(any(case.right) for case in others)
        here = [case for case in block if not case.elsewhere]
        right += len(here) * share_right(here, fit_weights(others) if known else DEFAULT)
    return {
        "questions": len(own),
        "before": share_right(own, DEFAULT),
        "after": right / max(1, len(own)),
    }


def fit_weights(cases: Sequence[Case]) -> dict[str, float]:
    """Weight by sign. Cases without a right option teach nothing. Raises :class:`UsageError` without any."""
    import torch

    known = [case for case in cases if any(case.right)]
    if not known:
        raise UsageError("No question has its answer among the words of its page: nothing to learn from.")
    names = sorted({name for case in known for signs in case.signs for name in signs})
    column = {name: number for number, name in enumerate(names)}
    entries = [
        (row, column[name], value)
        for row, signs in enumerate(signs for case in known for signs in case.signs)
        for name, value in signs.items()
        if value
    ]
    rows, columns = (torch.tensor([entry[i] for entry in entries]) for i in (0, 1))
    values = torch.tensor([entry[2] for entry in entries])
    right = torch.tensor([r for case in known for r in case.right])
    case_of_row = torch.repeat_interleave(
        torch.arange(len(known)), torch.tensor([len(case.right) for case in known])
    )
    counts = torch.tensor([_ELSEWHERE if case.elsewhere else 1.0 for case in known])
    penalty = torch.tensor([_FORMS if ":" in name else _FIGURES for name in names]) / len(known)
    weights = torch.tensor([DEFAULT.get(name, 0.0) / 4 for name in names]).requires_grad_()
    among = partial(_log_sum, cases=case_of_row, count=len(known))
    optimiser = torch.optim.LBFGS([weights], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        scores = torch.zeros(len(right)).index_add(0, rows, weights[columns] * values)
        good = among(scores.masked_fill(~right, -1e6))
        total = ((among(scores) - good) * counts).mean() + (penalty * weights**2).sum()
        total.backward()
        return total

    optimiser.step(loss)
    return dict(zip(names, weights.detach().tolist(), strict=True))


def _log_sum(scores: torch.Tensor, *, cases: torch.Tensor, count: int) -> torch.Tensor:
    """float32 [count]: the logarithm of the summed exponentials of each case's ``scores``."""
    import torch

    top = torch.full((count,), -1e9).scatter_reduce(0, cases, scores.detach(), "amax")
    return top + torch.zeros(count).index_add(0, cases, (scores - top[cases]).exp()).log()
