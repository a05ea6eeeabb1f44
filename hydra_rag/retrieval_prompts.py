"""The words around a page or a query when it is embedded. They belong to an adapter: see ``hydra.json``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from hydra_rag.errors import AdapterError

__all__ = ["RetrievalPrompts"]


@dataclass(frozen=True, slots=True)
class RetrievalPrompts:
    """Templates in the checkpoint's own special tokens.

    ``page``: must hold ``{image}`` once, which becomes vision start, image tokens, vision end. In causal
    models only what comes before the image can change a page's vectors. ``query``: must hold ``{text}``
    once. A query with an image is the page template followed by the query template. ``augmentation``: a
    token appended ``augmentation_count`` times to every query, room for the model to add what is asked for.
    """

    page: str = "<|im_start|>user\n{image}"
    query: str = "Query: {text}"
    augmentation: str = "<|endoftext|>"
    augmentation_count: int = 10

    def __post_init__(self) -> None:
        if self.page.count("{image}") != 1 or self.query.count("{text}") != 1:
            raise AdapterError('retrieval prompts need "{image}" once in page and "{text}" once in query')

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> RetrievalPrompts:
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(data) - known):
            raise AdapterError(
                f"unknown retrieval prompt fields {unknown}; this adapter needs a newer version"
            )
        return cls(**data)
