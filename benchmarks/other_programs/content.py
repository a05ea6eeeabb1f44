"""What a document says, before any program lays it out: fields, tables, sentences, and questions."""

from __future__ import annotations

import random
import tomllib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmarks.other_programs.values import Values


@dataclass(frozen=True)
class Fact:
    """``key`` names it inside its document; ``answer`` is printed exactly so; ``label``: what it is."""

    key: str
    question: str
    answer: str
    label: str


@dataclass(frozen=True)
class Field:
    label: str
    fact: Fact


@dataclass(frozen=True)
class Table:
    """``cells[row][column]``; the first column names the row and is no fact."""

    caption: str
    head: list[str]
    names: list[str]
    cells: list[list[Fact]]


@dataclass(frozen=True)
class Content:
    title: str
    fields: list[Field]


@dataclass
class Writer:
    """Draws the parts of one document; ``facts`` and ``absent`` collect what can be asked about it."""

    rng: random.Random
    values: Values
    facts: list[Fact] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    title: str = ""

    def named(self, title: str) -> str:
        """The first name given to a part is the name of the document."""
        self.title = self.title or title
        return title

    def fields(self, topic: str, count: int) -> Content:
        """``count`` fields of ``topic``, in its order; those left out are asked for in vain."""
        data = topics()[topic]
        every = list(range(len(data["fields"])))
        chosen = sorted(self.rng.sample(every, min(count, len(every))))
        made = []
        for i in chosen:
            labels, questions, kind = data["fields"][i]
            label = self.rng.choice(labels)
            made.append(Field(label, self._fact(self.rng.choice(questions), self.values.draw(kind), label)))
        absent = [self.rng.choice(data["fields"][i][1]) for i in every if i not in chosen]
        self.rng.shuffle(absent)
        self.absent += absent[:3]
        return Content(self.named(self.rng.choice(data["titles"])), made)

    def table(self, rows: int, columns: int) -> Table:
        """``rows`` × ``columns`` facts, and questions about a row and a column that are not there."""
        data = self.rng.choice(topics()["tables"])
        head, kind = data["row"]
        every = data["columns"]
        chosen = self.rng.sample(every, min(columns, len(every)))
        names = [self.values.draw(kind) for _ in range(rows + 1)]
        other = names.pop()
        cells = [
            [
                self._fact(asked.format(row=name), self.values.draw(what), f"{name} {column}")
                for column, what, asked in chosen
            ]
            for name in names
        ]
        absent = [chosen[0][2].format(row=other)]
        missing = [asked for column, _, asked in every if column not in {c[0] for c in chosen}]
        if missing:
            absent.append(self.rng.choice(missing).format(row=self.rng.choice(names)))
        self.absent += absent
        caption = self.named(self.rng.choice(data["captions"]))
        return Table(caption, [head, *(column for column, _, _ in chosen)], names, cells)

    def sentences(self, count: int) -> list[tuple[str, Fact, str]]:
        """``(before, fact, after)``: sentences with one fact each; others are asked for in vain."""
        found = self.rng.sample(topics()["prose"]["sentences"], count + 2)
        self.absent += [question for _, question, _ in found[count:]]
        made = []
        for text, question, kind in found[:count]:
            before, after = text.split("{v}")
            made.append((before, self._fact(question, self.values.draw(kind), ""), after))
        return made

    def filler(self, count: int) -> list[str]:
        return self.rng.sample(topics()["prose"]["filler"], count)

    def heading(self) -> str:
        return self.named(str(self.rng.choice(topics()["prose"]["headings"])))

    def chart(self, bars: int) -> tuple[str, list[tuple[str, Fact, int]]]:
        """A caption and ``(label, fact, value)`` for every bar."""
        data = self.rng.choice(topics()["charts"])
        labels = data["labels"][:bars]
        values = [int(self.values.draw("bar_height")) for _ in labels]
        made = [
            (label, self._fact(data["question"].format(row=label), str(value), label), value)
            for label, value in zip(labels, values, strict=True)
        ]
        if len(data["labels"]) > bars:
            self.absent.append(data["question"].format(row=data["labels"][bars]))
        return self.named(self.rng.choice(data["captions"])), made

    def _fact(self, question: str, answer: str, label: str) -> Fact:
        fact = Fact(f"f{len(self.facts)}", question, answer, label)
        self.facts.append(fact)
        return fact


@lru_cache(maxsize=1)
def topics() -> dict[str, Any]:
    """``topics.toml``."""
    return tomllib.loads((Path(__file__).parent / "topics.toml").read_text(encoding="utf-8"))


def topic_names() -> list[str]:
    """Topics that are made of fields."""
    return [name for name, data in topics().items() if "fields" in data]
