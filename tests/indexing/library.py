"""Made-up source files whose pages are known: a fast stand-in for the file readers.

A source is a text file, ``pages=3 seed=7 [words]``; its pages are small images with a few cells that depend
on the seed. Used where the subject is the store, not the readers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hydra_rag.errors import FileError
from hydra_rag.geometry import Box
from hydra_rag.values import Word
from hydra_rag_indexing.files.page import PageImage

SIZE = (128, 192)


def write_source(path: Path, pages: int, seed: int, words: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"pages={pages} seed={seed} {words}\n")
    return path


def page_image(seed: int, number: int) -> Image.Image:
    """The picture of a page: 64-pixel cells of one grey each."""
    random = np.random.default_rng([seed, number])
    cells = random.integers(0, 255, (SIZE[1] // 64, SIZE[0] // 64, 1), dtype=np.uint8)
    pixels = np.repeat(np.repeat(np.repeat(cells, 64, 0), 64, 1), 3, 2)
    return Image.fromarray(pixels)


def load_pages(path: Path, **_: Any) -> Iterator[PageImage]:
    """Instead of ``hydra_rag_indexing.files.load_pages``."""
    text = Path(path).read_text()
    found = re.match(r"pages=(\d+) seed=(\d+) (.*)", text)
    if found is None:
        raise FileError(f"{Path(path).name} is not one of ours", code="broken")
    pages, seed, words = int(found[1]), int(found[2]), found[3].split()
    for number in range(1, pages + 1):
        listed = [Word(word, Box(0, 10 * i, 40, 10 * i + 8)) for i, word in enumerate([*words, f"p{number}"])]
        yield PageImage(number, page_image(seed, number), listed, None, "layer", 72.0)


def load_scans(path: Path, **options: Any) -> Iterator[PageImage]:
    """As :func:`load_pages`, without a text layer on every second page."""
    for page in load_pages(path, **options):
        yield page if page.number % 2 else replace(page, words=[], text_source=None)
