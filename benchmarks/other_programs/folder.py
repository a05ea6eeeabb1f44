"""Write evaluation folders (the format of ``hydra-rag eval``) of documents that other programs printed.

The files that a user would have lie in ``documents/``, what is asked about them in ``documents.jsonl``.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pypdfium2

from benchmarks.other_programs.content import Fact, Writer
from hydra_rag.geometry import Box
from hydra_rag.values import Word

_POINTS = 72  # an inch


@dataclass(frozen=True)
class Made:
    """A printed document with its truth. Word and fact boxes are in pixels of its pages at ``dpi``."""

    name: str
    kind: str
    pdf: bytes
    dpi: int
    words: list[list[Word]]
    facts: list[tuple[Fact, int, list[Box]]]
    absent: list[str]
    title: str


class Folder:
    """Pages, questions and queries, written as they come."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pages: list[dict[str, Any]] = []
        self._documents: list[dict[str, Any]] = []
        self._queries: list[dict[str, Any]] = []
        (path / "documents").mkdir(parents=True, exist_ok=True)

    def add(self, made: Made, rng: random.Random, *, questions: int, absent: float) -> list[str]:
        """Draw the pages and choose up to ``questions`` facts of each; ``absent``: chance of one in vain.

        Returns the names of the page images.
        """
        (self.path / "documents" / f"{made.name}.pdf").write_bytes(made.pdf)
        names = []
        for number, image in enumerate(_images(made.pdf, made.dpi)):
            name = f"{made.name}-{number + 1}.png"
            image.save(self.path / name, compress_level=6)
            facts = [(fact, boxes) for fact, page, boxes in made.facts if page == number]
            chosen = rng.sample(facts, min(questions, len(facts)))
            asked: list[dict[str, Any]] = [
                {
                    "question": f.question,
                    "answer": f.answer,
                    "boxes": [list(b) for b in boxes],
                    "kind": made.kind,
                }
                for f, boxes in chosen
            ]
            said = {fact.question for fact, _ in facts}  # by another part of the page
            missing = [question for question in made.absent if question not in said]
            if questions and missing and rng.random() < absent:
                asked.append(
                    {"question": rng.choice(missing), "answer": None, "boxes": [], "kind": made.kind}
                )
            words = [{"text": w.text, "box": list(w.box)} for w in made.words[number]]
            self._pages.append({"image": name, "words": words, "questions": asked})
            self._documents += [
                {"document": f"{made.name}.pdf", "page": number + 1, "dpi": made.dpi} | question
                for question in asked
            ]
            names.append(name)
        return names

    def query(self, text: str, relevant: Sequence[str]) -> None:
        self._queries.append({"query": text, "image": None, "relevant": list(relevant)})

    def close(self) -> None:
        """Write the lists."""
        _write(self.path / "pages.jsonl", self._pages)
        _write(self.path / "documents.jsonl", self._documents)
        if self._queries:
            _write(self.path / "queries.jsonl", self._queries)


def _write(path: Path, records: Iterable[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records), encoding="utf-8")


def _images(pdf: bytes, dpi: int) -> Iterable[Any]:
    document = pypdfium2.PdfDocument(pdf)
    try:
        for page in document:
            yield page.render(scale=dpi / _POINTS).to_pil().convert("RGB")
    finally:
        document.close()


def unique_facts(facts: Iterable[tuple[Fact, int, list[Box]]]) -> list[tuple[Fact, int, list[Box]]]:
    """Those whose question stands for one answer only."""
    every = list(facts)
    count: dict[str, int] = {}
    for fact, _, _ in every:
        count[fact.question] = count.get(fact.question, 0) + 1
    return [found for found in every if count[found[0].question] == 1]


def query_for(fact: Fact, title: str, rng: random.Random) -> str:
    """Words that somebody would type to find the page that says ``fact``."""
    named = f"{fact.label} {fact.answer}"
    return rng.choice((named, f"{title}, {named}", f"{title} {fact.answer}")).strip(", ")


def writer_for(seed: str) -> Writer:
    from benchmarks.other_programs.values import Values

    return Writer(random.Random(f"{seed} words"), Values(random.Random(f"{seed} values")))
