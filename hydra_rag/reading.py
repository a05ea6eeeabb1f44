"""Reading a page with the vision tower alone: its text and where it stands, in one pass and without decoding.

A small head names the characters along every row of patches, a few steps to a patch. It is trained with
connectionist temporal classification (Graves et al. 2006, https://www.cs.toronto.edu/~graves/icml_2006.pdf),
which needs the text of a row but no place of a character; the steps where they are named say about where
they stand. :mod:`hydra_rag.read_words` makes words of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

__all__ = ["FILE_NAME", "STEPS", "ReadingHead", "RowText", "Transcript", "collapse", "load_head", "save_head"]

#: Steps along a row for each patch; more than the characters of small print, so that a blank fits between
#: two equal ones.
STEPS = 6
FILE_NAME = "reading.safetensors"
_BLANK = 0


class ReadingHead(nn.Module):
    """Characters along the rows of patches. ``alphabet``: class ``i + 1`` is its character ``i``; class 0 is
    the blank of the transcription."""

    def __init__(self, hidden: int, alphabet: str, *, width: int = 128, merge: int = 2) -> None:
        super().__init__()
        self.alphabet, self.merge = alphabet, merge
        self.norm = nn.LayerNorm(hidden)
        self.near = nn.Conv2d(hidden, width, 3, padding=1)
        self.out = nn.Linear(hidden + width, STEPS * (len(alphabet) + 1))

    def forward(self, patches: torch.Tensor, grids: torch.Tensor) -> list[torch.Tensor]:
        """``patches``: the tower's last states, float [P, hidden], cell by cell as the tower orders them;
        ``grids``: int64 [images, 3] (time, rows, columns in patches). Returns logits [rows, columns × STEPS,
        classes] of every image."""
        shapes = [(int(rows), int(cols)) for _, rows, cols in grids.tolist()]
        if len(set(shapes)) == 1:
            return list(self._same(patches, len(shapes), *shapes[0]))
        parts = patches.split([rows * cols for rows, cols in shapes])
        return [self._same(part, 1, *shape)[0] for part, shape in zip(parts, shapes, strict=True)]

    def _same(self, patches: torch.Tensor, count: int, rows: int, cols: int) -> torch.Tensor:
        m = self.merge
        x = self.norm(patches).view(count, rows // m, cols // m, m, m, -1)
        x = x.permute(0, 5, 1, 3, 2, 4).reshape(count, -1, rows, cols)
        x = torch.cat([x, nn.functional.gelu(self.near(x))], 1).permute(0, 2, 3, 1)
        out: torch.Tensor = self.out(x)
        return out.reshape(count, rows, cols * STEPS, -1)


@dataclass(frozen=True, slots=True)
class Transcript:
    """The likeliest class of every step along every row of patches of one image.

    ``classes``: int16 [rows, steps]; ``logprobs``: float16 [rows, steps], natural."""

    classes: torch.Tensor
    logprobs: torch.Tensor

    @classmethod
    def of(cls, logits: torch.Tensor) -> Transcript:
        """From logits [rows, steps, classes]."""
        best, classes = logits.float().log_softmax(-1).max(-1)
        return cls(classes.short().cpu(), best.half().cpu())

    @property
    def nbytes(self) -> int:
        return self.classes.nbytes + self.logprobs.nbytes

    def rows(self, alphabet: str) -> list[RowText]:
        """The text of every row, from top to bottom."""
        out = []
        for path, sure in zip(self.classes.tolist(), self.logprobs.tolist(), strict=True):
            found = collapse(path)
            text = "".join(alphabet[c - 1] for c, _ in found)
            out.append(RowText(text, tuple(s for _, s in found), tuple(sure[s] for _, s in found)))
        return out


@dataclass(frozen=True, slots=True)
class RowText:
    """What stands along one row of patches: ``text``, its characters' ``steps`` (position of each along the
    row, :data:`STEPS` to a patch) and their ``logprobs``."""

    text: str
    steps: tuple[float, ...]
    logprobs: tuple[float, ...]


def collapse(classes: Sequence[int]) -> list[tuple[int, int]]:
    """(class, step) of every character of a path: repetitions and blanks taken out."""
    pairs = zip(classes, (_BLANK, *classes), strict=False)
    return [(c, step) for step, (c, before) in enumerate(pairs) if c not in (_BLANK, before)]


def save_head(head: ReadingHead, folder: Path) -> None:
    """Write :data:`FILE_NAME` beside a checkpoint, in 16 bits."""
    from safetensors.torch import save_file

    tensors = {k: v.detach().half().contiguous() for k, v in head.state_dict().items()}
    save_file(tensors, folder / FILE_NAME, {"alphabet": head.alphabet, "merge": str(head.merge)})


def load_head(folder: Path, device: torch.device) -> ReadingHead | None:
    """The head beside a checkpoint, ``None`` where there is none. Raises :class:`ModelError` where the file
    is damaged."""
    from safetensors import SafetensorError, safe_open

    from hydra_rag.errors import ModelError

    path = folder / FILE_NAME
    if not path.is_file():
        return None
    try:
        with safe_open(str(path), "pt") as file:
            meta = file.metadata() or {}
            tensors = {k: file.get_tensor(k).float() for k in file.keys()}  # noqa: SIM118
        hidden, width = len(tensors["norm.weight"]), len(tensors["near.bias"])
        head = ReadingHead(hidden, meta["alphabet"], width=width, merge=int(meta["merge"]))
        head.load_state_dict(tensors)
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path} is no reading head ({error}); fetch it again or remove it") from error
    return head.eval().requires_grad_(False).to(device)
