"""hydra_rag: one vision-language model that retrieves pages and answers questions about them.

Names resolve lazily, so that importing the package costs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hydra_rag.geometry import Box, Grid
    from hydra_rag.model import HydraModel
    from hydra_rag.values import AttentionRows, GenerationResult, MultiVector, TextDelta, Word

__version__ = "0.1.0"

_HOMES = {
    "AttentionRows": "hydra_rag.values",
    "Box": "hydra_rag.geometry",
    "GenerationResult": "hydra_rag.values",
    "Grid": "hydra_rag.geometry",
    "HydraModel": "hydra_rag.model",
    "MultiVector": "hydra_rag.values",
    "TextDelta": "hydra_rag.values",
    "Word": "hydra_rag.values",
}

__all__ = [
    "AttentionRows",
    "Box",
    "GenerationResult",
    "Grid",
    "HydraModel",
    "MultiVector",
    "TextDelta",
    "Word",
    "__version__",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'hydra_rag' has no attribute {name!r}")
    return getattr(import_module(home), name)
