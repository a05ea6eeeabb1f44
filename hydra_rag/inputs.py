"""One tokenized prompt with its images: what every forward pass is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hydra_rag.geometry import Grid
from hydra_rag.images import PreparedImage

if TYPE_CHECKING:
    import torch

__all__ = ["Prompt"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One tokenized prompt.

    ``token_ids``: with one image token per visual cell. ``spans``: half-open token range of every image.
    ``text``: the rendered text of a chat. ``kept``: positions whose vectors an embedding keeps, in order;
    ``None`` for all.
    """

    token_ids: tuple[int, ...]
    images: tuple[PreparedImage, ...]
    spans: tuple[tuple[int, int], ...]
    text: str = ""
    kept: tuple[int, ...] | None = None

    @property
    def grids(self) -> tuple[Grid, ...]:
        return tuple(image.grid for image in self.images)

    def __len__(self) -> int:
        return len(self.token_ids)

    def tensors(
        self, device: torch.device | str | None = None, *, pixels: bool = True
    ) -> dict[str, torch.Tensor]:
        """What the transformers class takes: ``input_ids``, ``attention_mask``, ``mm_token_type_ids``
        (int64 [1, tokens]; 1 marks image tokens) and, with images, ``pixel_values``, ``image_grid_thw``."""
        import torch

        ids = torch.tensor([self.token_ids], dtype=torch.long, device=device)
        kinds = torch.zeros_like(ids)
        for start, end in self.spans:
            kinds[0, start:end] = 1
        out = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "mm_token_type_ids": kinds}
        if self.images:
            grids = [image.grid_thw for image in self.images]
            out["image_grid_thw"] = torch.tensor(grids, dtype=torch.long, device=device)
            if pixels:
                out["pixel_values"] = torch.cat([image.pixels for image in self.images]).to(device)
        return out
