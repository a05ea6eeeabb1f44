"""What a look records of one image: the raw material of every saliency method.

A method declares which of these it needs; only those are computed. All tensors are float32 on the CPU;
L layers, H heads, K key-value heads, W words of the question, C cells of the image, Q query vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from hydra_rag.geometry import Grid

if TYPE_CHECKING:
    import torch

__all__ = ["Need", "Signals"]

Need = Literal[
    "question", "generic", "words", "gradient", "sinks", "values", "similarity", "spread", "gates"
]  # fmt: skip
_ROWS = ("question", "generic", "words", "before")


@dataclass(frozen=True, slots=True, eq=False)
class Signals:
    """``question``, ``generic`` [L, H, C]: attention of the position that writes the first answer token,
    under the question and under an instruction that asks for nothing in particular.

    ``words``, ``before`` [L, H, W, C]: attention of every word's last token and of the token ahead of the
    word; ``names``: the words. ``gradient`` [L, H, C]: of the most likely first token's log-probability by
    the ``question`` weights. ``sinks`` [L, C]: largest normalised activation in sink dimensions.
    ``word_values`` [L, K, W, D], ``cell_values`` [L, K, C, D]. ``similarity`` [Q, C]: retrieval vectors.
    ``spread`` [C]: standard deviation of the cell's luminance, 0 to 255. ``alive`` bool [C]: cells that may
    matter. ``heads`` [L, H]: weights of heads. ``trend`` [bins]: usual attention from top to bottom.
    ``gates`` [L, H]: how far the head's output is let through (gated attention), 0 to 1.
    ``scores`` [L, H]: how well each head did when the checkpoint was calibrated. ``floor``: of the contrast.
    ``layers``: decoder layers of axis L; ``best``: the entry of L for methods that use a single layer.
    """

    grid: Grid
    layers: tuple[int, ...] = ()
    best: int = 0
    floor: float = 0.1
    question: torch.Tensor | None = None
    generic: torch.Tensor | None = None
    words: torch.Tensor | None = None
    before: torch.Tensor | None = None
    names: tuple[str, ...] = ()
    gradient: torch.Tensor | None = None
    sinks: torch.Tensor | None = None
    word_values: torch.Tensor | None = None
    cell_values: torch.Tensor | None = None
    similarity: torch.Tensor | None = None
    spread: torch.Tensor | None = None
    alive: torch.Tensor | None = None
    heads: torch.Tensor | None = None
    trend: torch.Tensor | None = None
    scores: torch.Tensor | None = None
    gates: torch.Tensor | None = None

    def get(self, name: str) -> torch.Tensor:
        """A signal that must be there. Raises ``ValueError`` where it was not recorded."""
        value: torch.Tensor | None = getattr(self, name)
        if value is None:
            raise ValueError(f"the signal {name!r} was not recorded; name the method when gathering")
        return value

    def with_rows(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Signals:
        """All attention rows changed by ``change`` ([..., C] to [..., C])."""
        made: dict[str, Any] = {
            name: change(value) for name in _ROWS if (value := getattr(self, name)) is not None
        }
        return replace(self, **made)

    def keep(self, cells: torch.Tensor) -> Signals:
        """Only ``cells`` (bool [C]) stay alive; the attention of the others becomes zero.

        Nothing changes where no living cell would be left.
        """
        alive = cells if self.alive is None else cells & self.alive
        if not bool(alive.any()):
            return self
        return replace(self.with_rows(lambda rows: rows * alive), alive=alive)

    def pick(self, layers: tuple[int, ...]) -> Signals:
        """Only these decoder layers, in this order."""
        index = [self.layers.index(layer) for layer in layers]
        by_layer = {f.name for f in fields(self)} & {
            *_ROWS, "gradient", "sinks", "word_values", "cell_values", "heads", "scores", "gates"
        }  # fmt: skip
        made = {n: getattr(self, n)[index] for n in by_layer if getattr(self, n) is not None}
        return replace(self, layers=layers, best=0, **made)
