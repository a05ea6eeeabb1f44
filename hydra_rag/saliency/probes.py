"""`look`: where a model looks on an image when it is asked a question."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hydra_rag.errors import UsageError
from hydra_rag.geometry import Grid
from hydra_rag.inputs import Prompt
from hydra_rag.prompts import ask_prompt, instruct_prompt
from hydra_rag.saliency.calibration import Calibration, calibration_for
from hydra_rag.saliency.filters import DEFAULT_FILTERS, find_filters, saliency
from hydra_rag.saliency.gather import Ask, run_passes
from hydra_rag.saliency.maps import SaliencyMap
from hydra_rag.saliency.methods import DEFAULT, find_method
from hydra_rag.saliency.signals import Need, Signals

if TYPE_CHECKING:
    from PIL import Image

    from hydra_rag.model import HydraModel
    from hydra_rag.values import MultiVector

__all__ = ["look", "look_at_all", "record", "word_positions"]

_SIDE = 16  # pixels per cell, to measure its ink


def look(
    model: HydraModel,
    image: Image.Image,
    question: str,
    *,
    method: str = DEFAULT,
    calibration: Calibration | None = None,
    filters: Sequence[str] | None = None,
    image_tokens: int | None = None,
    upscale: bool = False,
    vectors: MultiVector | None = None,
) -> SaliencyMap:
    """The saliency of every cell of ``image`` for ``question``.

    ``method``, ``filters``: names (see ``methods.py``, ``filters.py``); filters default to the calibrated
    or usual ones. ``calibration``: default :func:`~hydra_rag.saliency.calibration.calibration_for`.
    ``image_tokens``, ``upscale``: as for :meth:`HydraModel.generate`. ``vectors``: of the page, where they
    are stored (only methods with ``similarity`` use them, and make them otherwise).
    """
    stored = None if vectors is None else [vectors]
    return look_at_all(
        model,
        [image],
        question,
        method=method,
        calibration=calibration,
        filters=filters,
        image_tokens=image_tokens,
        upscale=upscale,
        vectors=stored,
    )[0]


def look_at_all(
    model: HydraModel,
    images: Sequence[Image.Image],
    question: str,
    *,
    method: str = DEFAULT,
    calibration: Calibration | None = None,
    filters: Sequence[str] | None = None,
    image_tokens: int | None = None,
    upscale: bool = False,
    vectors: Sequence[MultiVector] | None = None,
) -> list[SaliencyMap]:
    """As :func:`look` with several images in one prompt: one map for each, every one summing to one."""
    known = calibration or calibration_for(model)
    chosen = find_method(method)
    names = filters if filters is not None else known.filters
    cleaners = find_filters(DEFAULT_FILTERS if names is None else names)
    needs = set(chosen.needs).union(*(f.needs for f in cleaners))
    signals = record(
        model,
        images,
        question,
        needs,
        calibration=known,
        image_tokens=image_tokens,
        upscale=upscale,
        vectors=vectors,
    )[0]
    return [saliency(one, chosen, cleaners) for one in signals]


def record(
    model: HydraModel,
    images: Sequence[Image.Image],
    question: str,
    needs: Collection[Need],
    *,
    calibration: Calibration,
    layers: tuple[int, ...] | None = None,
    generics: Sequence[str] | None = None,
    image_tokens: int | None = None,
    upscale: bool = False,
    vectors: Sequence[MultiVector] | None = None,
) -> list[list[Signals]]:
    """The signals of every image, for every generic instruction: [generics][images].

    ``layers``, ``generics``: default the calibrated ones. Signals that are not in ``needs`` stay ``None``.
    """
    if not images:
        raise UsageError("there is no image to look at; pass at least one")
    wanted = layers or calibration.layers
    idle = list(generics or (calibration.generic,))
    first = model.processor.chat(
        _message(images, _text(model, question)), image_tokens=image_tokens, upscale=upscale
    )
    words = word_positions(model, first, question) if {"words", "values"} & set(needs) else []
    asks = [Ask(first, (len(first) - 1, *(p for _, last, before in words for p in (last, before))))]
    if "generic" in needs:
        for text in idle:
            prompt = _same_images(model, first, images, _text(model, text))
            asks.append(Ask(prompt, (len(prompt) - 1,)))
    made = run_passes(
        model,
        asks,
        wanted,
        gradient="gradient" in needs,
        sinks="sinks" in needs,
        sink_dims=calibration.sink_dims,
        values="values" in needs,
        gates="gates" in needs,
    )
    scores = _head_scores(calibration, wanted, made.rows[0].shape[1])
    trend = torch.tensor(calibration.trend) if calibration.trend else None
    out: list[list[Signals]] = [[] for _ in (idle if "generic" in needs else idle[:1])]
    for index, (start, end) in enumerate(first.spans):
        grid = first.grids[index]
        rows = made.rows[0][..., start:end]
        base = Signals(
            grid,
            layers=wanted,
            floor=calibration.floor,
            question=rows[:, :, 0],
            words=rows[:, :, 1::2] if "words" in needs else None,
            before=rows[:, :, 2::2] if "words" in needs else None,
            names=tuple(name for name, _, _ in words),
            gradient=None if made.gradient is None else made.gradient[..., start:end],
            sinks=None if made.sinks is None else made.sinks[:, start:end],
            scores=scores,
            trend=trend,
            gates=made.gates,
        )
        if made.values is not None:
            spots = [last for _, last, _ in words]
            base = replace(
                base, word_values=made.values[:, :, spots], cell_values=made.values[:, :, start:end]
            )
        if "similarity" in needs:
            given = None if vectors is None else vectors[index]
            base = replace(base, similarity=_similarity(model, images[index], question, grid, given))
        if "spread" in needs:
            base = replace(base, spread=_spread(images[index], grid))
        for number, signals in enumerate(out):
            generic = made.rows[1 + number][:, :, 0, start:end] if "generic" in needs else None
            signals.append(replace(base, generic=generic))
    return out


def word_positions(model: HydraModel, prompt: Prompt, question: str) -> list[tuple[str, int, int]]:
    """(word, position of its last token, position of the token ahead of it) of the question's words."""
    start = prompt.spans[-1][1] if prompt.spans else 0
    ids = prompt.token_ids[start:]
    pieces = [model.processor.decode([i], skip_special_tokens=False) for i in ids]
    ends = np.cumsum([len(piece) for piece in pieces])
    text, plain = "".join(pieces), model.processor.plain(question).strip()
    at = text.rfind(plain) if plain else -1
    if at < 0:  # letters of several tokens: the tokens themselves, which come last in the user's turn
        inner = model.processor.encode(plain)
        for first in range(len(ids) - len(inner), 0, -1):
            if inner and list(ids[first : first + len(inner)]) == inner:
                return [(pieces[i], start + i, start + i - 1) for i in range(first, first + len(inner))]
        return []
    found = []
    for word in re.finditer(r"\S+", plain):
        first = int(np.searchsorted(ends, at + word.start(), side="right"))
        last = int(np.searchsorted(ends, at + word.end() - 1, side="right"))
        found.append((word.group(), start + last, start + max(0, first - 1)))
    return found


def _text(model: HydraModel, question: str) -> str:
    """The question as the model is used to be asked it, without text layer."""
    spec = getattr(model.retrieval, "spec", None)
    nano = (getattr(spec, "reader", None) or {}).get("style") == "nano"
    return ask_prompt(question) if nano else instruct_prompt(question)


def _message(images: Sequence[Image.Image], text: str) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = [{"type": "image", "image": image} for image in images]
    return [{"role": "user", "content": [*blocks, {"type": "text", "text": text}]}]


def _same_images(model: HydraModel, first: Prompt, images: Sequence[Image.Image], text: str) -> Prompt:
    """Another text with images that are prepared already."""
    rendered = str(model.processor.apply_chat_template(_message(images, text), tokenize=False))
    return model.processor.fill(model.processor.encode(rendered), first.images, rendered)


def _head_scores(calibration: Calibration, layers: tuple[int, ...], heads: int) -> torch.Tensor | None:
    known = {(layer, head): score for layer, head, score in calibration.heads}
    if not known:
        return None
    return torch.tensor([[known.get((layer, head), 0.0) for head in range(heads)] for layer in layers])


def _spread(image: Image.Image, grid: Grid) -> torch.Tensor:
    """Standard deviation of luminance in every cell."""
    small = image.convert("L").resize((grid.cols * _SIDE, grid.rows * _SIDE))
    pixels = np.asarray(small, np.float32).reshape(grid.rows, _SIDE, grid.cols, _SIDE)
    return torch.from_numpy(np.ascontiguousarray(pixels.std((1, 3)).reshape(-1)))


def _similarity(
    model: HydraModel, image: Image.Image, question: str, grid: Grid, vectors: MultiVector | None
) -> torch.Tensor:
    """[Q, C]: every cell takes the vector whose box holds its centre (grids may differ)."""
    page = vectors if vectors is not None else model.embed_pages([image])[0]
    query = model.embed_queries([question])[0]
    similar = query.vectors @ page.vectors.T
    if page.boxes is None or page.grid == grid:
        return torch.from_numpy(np.ascontiguousarray(similar, np.float32))
    cells = np.array(grid.boxes(*image.size), np.float64)
    x, y = (cells[:, 0] + cells[:, 2]) / 2, (cells[:, 1] + cells[:, 3]) / 2
    boxes = page.boxes.astype(np.float64)
    dx = np.maximum(np.maximum(boxes[None, :, 0] - x[:, None], x[:, None] - boxes[None, :, 2]), 0)
    dy = np.maximum(np.maximum(boxes[None, :, 1] - y[:, None], y[:, None] - boxes[None, :, 3]), 0)
    return torch.from_numpy(np.ascontiguousarray(similar[:, (dx + dy).argmin(1)], np.float32))
