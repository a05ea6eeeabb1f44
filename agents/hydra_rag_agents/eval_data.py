"""Evaluation folders: ``pages.jsonl`` and ``queries.jsonl`` beside page images.

One line a page: ``{"image", "words": [{"text", "box"}], "questions": [{"question", "answer", "boxes"}]}``;
one line a query: ``{"query", "image": str | null, "relevant": [image, ...]}``, and where its image shows one
item among many, ``"boxes"``: where that is. A fault names its line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra_rag.errors import UsageError
from hydra_rag.geometry import Box
from hydra_rag.values import Word

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["EvalPage", "EvalQuery", "EvalQuestion", "open_image", "read_pages", "read_queries"]


@dataclass(frozen=True, slots=True)
class EvalQuestion:
    """``answer`` is ``None`` where the page does not hold one."""

    question: str
    answer: str | None
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class EvalPage:
    image: str
    words: tuple[Word, ...]
    questions: tuple[EvalQuestion, ...]


@dataclass(frozen=True, slots=True)
class EvalQuery:
    query: str
    image: str | None
    relevant: frozenset[str]
    boxes: tuple[Box, ...] = ()


def read_pages(folder: Path) -> list[EvalPage]:
    """Raises :class:`UsageError` when the folder is not an evaluation folder."""
    path = folder / "pages.jsonl"
    if not path.is_file():
        raise UsageError(
            f"{folder} is not an evaluation folder: it has no pages.jsonl (see the documentation)."
        )
    pages = [_page(folder, *line) for line in _lines(path)]
    if not pages:
        raise UsageError(f"{path} has no pages.")
    names = [page.image for page in pages]
    if len(set(names)) != len(names):
        raise UsageError(f"{path} names the same image twice.")
    return pages


def read_queries(folder: Path, known: set[str]) -> list[EvalQuery]:
    """Empty where there is no ``queries.jsonl``. ``known``: the page images."""
    path = folder / "queries.jsonl"
    if not path.is_file():
        return []
    queries = []
    for where, data in _lines(path):
        try:
            relevant = frozenset(str(name) for name in data["relevant"])
            image = data.get("image")
            boxes = tuple(_box(box) for box in data.get("boxes") or ())
            query = EvalQuery(
                str(data.get("query") or ""), None if image is None else str(image), relevant, boxes
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"{where}: {error} is missing or wrong.") from error
        if not relevant or not relevant <= known:
            raise UsageError(f"{where}: `relevant` must name images of pages.jsonl, at least one.")
        if query.image is None and not query.query.strip():
            raise UsageError(f"{where}: a query needs words, an image, or both.")
        queries.append(query)
    return queries


def open_image(folder: Path, name: str) -> Image.Image:
    """RGB. Raises :class:`UsageError` for what is missing or lies outside the folder."""
    from PIL import Image

    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise UsageError(f"{name} lies outside {folder}.")
    try:
        with Image.open(path) as opened:
            return opened.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise UsageError(f"{path} can't be read: {error}") from error


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} can't be read: {error}") from error
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path.name} line {number}"
        try:
            data = json.loads(line)
        except ValueError as error:
            raise UsageError(f"{where} is not JSON: {error}") from error
        if not isinstance(data, dict):
            raise UsageError(f"{where} is not a JSON object.")
        yield where, data


def _page(folder: Path, where: str, data: dict[str, Any]) -> EvalPage:
    try:
        words = tuple(Word(str(w["text"]), _box(w["box"])) for w in data.get("words") or ())
        questions = tuple(
            EvalQuestion(
                str(q["question"]),
                None if q.get("answer") is None else str(q["answer"]),
                tuple(_box(box) for box in q.get("boxes") or ()),
            )
            for q in data.get("questions") or ()
        )
        page = EvalPage(str(data["image"]), words, questions)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{where}: {error} is missing or wrong.") from error
    if not (folder / page.image).is_file():
        raise UsageError(f"{where}: there is no image {page.image}.")
    return page


def _box(values: Any) -> Box:
    left, top, right, bottom = (round(float(value)) for value in values)
    return Box(left, top, right, bottom)
