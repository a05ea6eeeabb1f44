"""Pages that come back in a training: what the frozen tower made of them, kept within a memory bound."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import torch
from PIL import Image

from hydra_rag.embedding import page_prompt
from hydra_rag.vision import ImageFeatures

if TYPE_CHECKING:
    from hydra_rag.embedding import RetrievalView
    from hydra_rag.model import HydraModel
    from hydra_rag.processor import Prompt

__all__ = ["Look", "SeenPages", "open_page", "tower_features"]

#: A prompt, and the features of each of its images.
Look: TypeAlias = "tuple[Prompt, list[ImageFeatures]]"


def open_page(page: Image.Image | Path) -> Image.Image:
    """The picture itself, of a file in RGB."""
    if isinstance(page, Image.Image):
        return page
    with Image.open(page) as image:
        return image.convert("RGB")


class SeenPages:
    """Prompt and tower features of page files; pictures in memory are prepared each time.

    To open, resize and hash a page takes longer than a small model's whole step. What came first stays
    when ``memory_bytes`` are full: pages come round in turn, so the oldest is the next to be asked for.
    """

    def __init__(
        self, model: HydraModel, view: RetrievalView, page_tokens: int, *, memory_bytes: int = 1 << 30
    ) -> None:
        self._model, self._view, self.page_tokens = model, view, page_tokens
        self._kept: dict[Path, Look] = {}
        self._room = memory_bytes
        self.hits = 0

    def look(self, page: Image.Image | Path) -> Look:
        """The page's prompt and the features of its one picture, on the view's device."""
        if isinstance(page, Path) and (found := self._kept.get(page)) is not None:
            self.hits += 1
            prompt, features = found
            return prompt, [_to(one, self._view.device) for one in features]
        prompt = page_prompt(
            self._model.processor, self._view.spec, open_page(page), max_tokens=self.page_tokens
        )
        features = tower_features(self._model, self._view, prompt)
        size = sum(one.nbytes for one in features)
        if isinstance(page, Path) and size <= self._room:
            self._room -= size
            bare = tuple(replace(image, pixels=torch.empty(0)) for image in prompt.images)
            kept = [replace(_to(one, torch.device("cpu")), transcript=None) for one in features]
            self._kept[page] = replace(prompt, images=bare), kept
        return prompt, features


def tower_features(model: HydraModel, view: RetrievalView, prompt: Prompt) -> list[ImageFeatures]:
    """Features of every image of a prompt, each computed alone, as for the index."""
    with torch.no_grad():
        return [model.vision.features(model.base_model, [image], view.device)[0] for image in prompt.images]


def _to(features: ImageFeatures, device: torch.device) -> ImageFeatures:
    return replace(
        features, pooled=features.pooled.to(device), deep=tuple(layer.to(device) for layer in features.deep)
    )
