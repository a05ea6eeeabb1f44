"""Small pictures of where the model looked on pages with known evidence."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydra_rag.errors import UsageError
from hydra_rag.geometry import Box
from hydra_rag_agents.pictures import heat_overlay, map_cells, page_picture

if TYPE_CHECKING:
    from PIL import Image

    from hydra_rag.saliency.maps import SaliencyMap

__all__ = ["GazePictures"]

_WIDTH = 420


class GazePictures:
    """Draws the first ``most`` maps into ``folder``: thick frames round the evidence, thin ones round the
    boxes that would be cropped."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self._most = folder, most
        self.drawn: list[tuple[Path, str]] = []

    def take(
        self,
        image: Image.Image,
        question: str,
        found: SaliencyMap,
        truth: Sequence[Box],
        proposed: Sequence[Box],
    ) -> None:
        """Raises :class:`UsageError` where the folder can't be written."""
        from PIL import Image

        if len(self.drawn) >= self._most:
            return
        drawn = page_picture(heat_overlay(image, *map_cells(found, image.size)), truth, proposed)
        small = drawn.resize((_WIDTH, round(image.height * _WIDTH / image.width)), Image.Resampling.LANCZOS)
        path = self._folder / f"look-{len(self.drawn) + 1}.png"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            small.quantize(128).save(path, optimize=True)
        except OSError as error:
            raise UsageError(f"The pictures can't be written to {self._folder}: {error}") from error
        self.drawn.append((path, question))

    def markdown(self, beside: Path) -> str:
        """The pictures as Markdown, with paths as seen from the file ``beside``."""
        base = beside.resolve().parent
        named = [(Path(os.path.relpath(path.resolve(), base)), question) for path, question in self.drawn]
        return "".join(f"\n![{question}]({path.as_posix()})\n" for path, question in named)
