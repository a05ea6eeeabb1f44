"""Where on a page a query is: strength per cell, per token, as numbers and as a picture.

From the stored vectors and the query's, so it is what retrieval saw and costs no pass over the page.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hydra_rag_api.server.errors import ApiError

if TYPE_CHECKING:
    from hydra_rag.values import FloatArray, MultiVector
    from hydra_rag_agents.facade import HydraRAG

__all__ = ["Heat", "heat_of", "heat_picture"]

_SIDE = 640
# A dark red to yellow ramp: (strength, red, green, blue).
_RAMP = np.array(
    [[0.0, 60, 9, 110], [0.25, 130, 20, 110], [0.5, 220, 60, 60], [0.75, 250, 140, 20], [1.0, 255, 225, 60]],
    np.float32,
)


@dataclass(frozen=True, slots=True)
class Heat:
    """``values`` float32 [cells]; ``weights`` float32 [tokens]; ``labels`` one per token: its text, and
    whether it is a part of what was asked (and not of the words that a model puts round every query)."""

    values: FloatArray
    weights: FloatArray
    labels: tuple[tuple[str, bool], ...]
    score: float


def heat_of(engine: HydraRAG, query: str, vectors: MultiVector, page: MultiVector, token: int | None) -> Heat:
    """The map of a whole query, or of one of its tokens. Raises :class:`ApiError` 404 for an unknown one."""
    from hydra_rag.evidence import evidence_map, row_weights
    from hydra_rag.maxsim import similarity_map

    similarities = similarity_map(vectors.vectors, page.vectors)
    weights = row_weights(similarities)
    if token is not None and token >= len(similarities):
        raise ApiError(404, "not_found", f"The query has {len(similarities)} tokens, counted from 0.")
    chosen = similarities if token is None else similarities[token : token + 1]
    values = evidence_map(chosen, None if token is None else [1.0])
    labels = token_labels(engine, query, len(similarities))
    return Heat(values, weights, labels, float(similarities.max(1).sum()))


def token_labels(engine: HydraRAG, query: str, count: int) -> tuple[tuple[str, bool], ...]:
    """What each query vector stands for, where the model can say."""
    model: Any = engine.model
    labels: list[str] = []
    first, last = 0, count
    if getattr(model, "retrieval", None) is not None:
        from hydra_rag.embedding import query_prompt

        prompt = query_prompt(model.processor, model.retrieval.spec, query)
        labels = [str(model.processor.tokenizer.decode([int(i)])) for i in prompt.token_ids]
        before = query_prompt(model.processor, model.retrieval.spec, "")
        around = zip(prompt.token_ids, before.token_ids, strict=False)
        first = next((i for i, (one, other) in enumerate(around) if one != other), len(before))
        last = len(prompt) - max(0, len(before) - first)
    elif len(query.split()) == count:
        labels = query.split()
    if len(labels) != count:
        labels, first, last = [f"token {index}" for index in range(count)], 0, count
    return tuple((text, first <= index < last) for index, text in enumerate(labels))


def heat_picture(heat: Heat, boxes: np.ndarray[Any, Any], width: int, height: int) -> bytes:
    """A PNG of the page's shape to lay over its image: the stronger, the more opaque."""
    from PIL import Image

    scale = min(1.0, _SIDE / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # A coarse canvas, enlarged smoothly: cells are what is known, not pixels.
    coarse = min(1.0, 160 / max(width, height))
    field = np.zeros((max(1, round(height * coarse)), max(1, round(width * coarse))), np.float32)
    for (left, top, right, bottom), value in zip(boxes * coarse, heat.values, strict=True):
        x0, y0 = int(left), int(top)
        part = field[y0 : max(y0 + 1, int(np.ceil(bottom))), x0 : max(x0 + 1, int(np.ceil(right)))]
        np.maximum(part, value, out=part)
    smooth = Image.fromarray(np.uint8(np.clip(field, 0, 1) * 255)).resize(size, Image.Resampling.BICUBIC)
    strength = np.asarray(smooth, np.float32) / 255
    rgba = np.empty((*strength.shape, 4), np.uint8)
    for channel in range(3):
        rgba[..., channel] = np.interp(strength, _RAMP[:, 0], _RAMP[:, channel + 1])
    rgba[..., 3] = np.clip(strength, 0, 1) ** 0.8 * 210
    out = io.BytesIO()
    Image.fromarray(rgba).save(out, "PNG", compress_level=3)
    return out.getvalue()
