"""A user's own pages and queries as training batches; the folder format is that of ``hydra-rag eval``."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra_rag.errors import UsageError
from hydra_rag.geometry import Box
from hydra_rag.lines import group_lines
from hydra_rag.training.retrieval_data import RetrievalBatch
from hydra_rag.training.seen_pages import open_page
from hydra_rag.values import QueryItem, Word


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Objects of a JSON-lines file. Raises :class:`UsageError` with the line's number."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UsageError(f"{path.name} line {number} is no JSON ({error}); correct it") from error
        if not isinstance(row, dict):
            raise UsageError(f"{path.name} line {number} is no JSON object; correct it")
        rows.append(row)
    return rows


class OwnPages:
    """Pages of ``pages.jsonl`` with the queries of ``queries.jsonl``.

    Pages without a query of their own get phrases of their ``words``, if they have words.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / "pages.jsonl").is_file():
            raise UsageError(
                f"{folder} has no pages.jsonl; write one line a page, such as "
                '{"image": "p1.png", "words": [], "questions": []}, and queries.jsonl with '
                '{"query": "...", "image": null, "relevant": ["p1.png"]}'
            )
        self.folder = folder
        self.pages = read_rows(folder / "pages.jsonl")
        self.names = [str(p.get("image", "")) for p in self.pages]
        queries = folder / "queries.jsonl"
        self.queries = read_rows(queries) if queries.is_file() else []
        missing = [n for n in self.names if not (folder / n).is_file()]
        if missing:
            raise UsageError(
                f"{len(missing)} images of pages.jsonl are missing in {folder} (first: {missing[0]!r})"
            )
        known = set(self.names)
        for number, query in enumerate(self.queries, start=1):
            if strange := [str(n) for n in query.get("relevant") or [] if str(n) not in known]:
                raise UsageError(
                    f"query {number} of queries.jsonl names {strange[0]!r}, which is no page of pages.jsonl; "
                    "write it as its page does"
                )
            if (name := query.get("image")) and not (folder / str(name)).is_file():
                raise UsageError(
                    f"the image {name!r} of query {number} of queries.jsonl is missing in {folder}"
                )
        self.of_page: dict[str, list[dict[str, Any]]] = {}
        for query in self.queries:
            for name in query.get("relevant") or []:
                self.of_page.setdefault(str(name), []).append(query)
        usable = [i for i, n in enumerate(self.names) if n in self.of_page or self.pages[i].get("words")]
        if len(usable) < 2:
            raise UsageError(
                f"{folder} has fewer than two pages with a query or with words; add queries.jsonl"
            )
        self.usable = usable
        self._texts: dict[int, str] = {}

    def batches(self, seed: int, size: int) -> Iterator[RetrievalBatch]:
        """Endless batches of ``size`` pages (or all, if there are fewer) with one query each. Every page
        comes once before any comes again, but for those that fill a round's last batch."""
        rng = random.Random(seed)
        size = min(size, len(self.usable))
        order: list[int] = []
        while True:
            if len(order) < size:
                fresh = [i for i in self.usable if i not in order]
                order = rng.sample(fresh, len(fresh)) + order
            yield self._batch([order.pop() for _ in range(size)], rng)

    def _batch(self, chosen: list[int], rng: random.Random) -> RetrievalBatch:
        names = [self.names[i] for i in chosen]
        queries: list[QueryItem] = []
        relevant: list[list[int]] = []
        for position, index in enumerate(chosen):
            own = self.of_page.get(self.names[index])
            if own:
                row = rng.choice(own)
                queries.append(self._item(row))
                wanted = {str(n) for n in row["relevant"]}
                relevant.append([i for i, n in enumerate(names) if n in wanted])
            else:
                phrase = _phrase(self.pages[index], rng)
                queries.append(phrase)
                also = [i for i, page in enumerate(chosen) if phrase.casefold() in self._text(page)]
                relevant.append(also or [position])
        return RetrievalBatch([self.folder / name for name in names], queries, relevant)

    def _text(self, index: int) -> str:
        """The words of a page in the order of its lines, in small letters."""
        if index not in self._texts:
            lines = group_lines(_words(self.pages[index])) if self.pages[index].get("words") else []
            self._texts[index] = "\n".join(line.text for line in lines).casefold()
        return self._texts[index]

    def _item(self, row: dict[str, Any]) -> QueryItem:
        text, name = row.get("query"), row.get("image")
        if not name:
            return str(text or "")
        picture = open_page(self.folder / str(name))
        return {"text": str(text), "image": picture} if text else picture


def _phrase(page: dict[str, Any], rng: random.Random) -> str:
    line = rng.choice(group_lines(_words(page))).words
    start = rng.randrange(len(line))
    return " ".join(w.text for w in line[start : start + rng.randint(1, 5)])


def _words(page: dict[str, Any]) -> list[Word]:
    return [Word(str(w["text"]), Box(*map(int, w["box"]))) for w in page["words"]]
