"""LibreOffice prints office documents to PDF; values are found by the text layer of what it printed."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pypdfium2

from benchmarks.other_programs.content import Fact, Writer, topic_names
from benchmarks.other_programs.folder import Made, unique_facts
from benchmarks.other_programs.office_files import WRITERS, Block, draw_look
from hydra_rag.errors import UsageError
from hydra_rag.geometry import Box
from hydra_rag.values import Word

_SECONDS = 240


@dataclass(frozen=True)
class Draft:
    """A file that LibreOffice is to print, and what can be asked about it."""

    name: str
    suffix: str
    data: bytes
    writer: Writer


def draft(name: str, suffix: str, looks: random.Random, writer: Writer) -> Draft:
    """A form, a letter, a table or slides, as fits the kind of file."""
    if suffix == ".fodp":
        blocks = _slides(looks, writer)
    elif suffix in (".fods", ".csv"):
        blocks = _grid(looks, writer) if looks.random() < 0.6 else _form(looks, writer)
    else:
        blocks = looks.choice((_form, _letter, _order))(looks, writer)
    return Draft(name, suffix, WRITERS[suffix](blocks, draw_look(looks)), writer)


def _pairs(looks: random.Random, writer: Writer, count: int) -> list[Block]:
    content = writer.fields(looks.choice(topic_names()), count)
    rows = [[field.label, field.fact.answer] for field in content.fields]
    return [Block("heading", [[content.title]]), Block("pairs", rows)]


def _form(looks: random.Random, writer: Writer) -> list[Block]:
    return _pairs(looks, writer, looks.randint(6, 10))


def _text(looks: random.Random, writer: Writer, facts: int, filler: int) -> Block:
    said = [before + fact.answer + after for before, fact, after in writer.sentences(facts)]
    said += writer.filler(filler)
    looks.shuffle(said)
    return Block("text", [[" ".join(said)]])


def _letter(looks: random.Random, writer: Writer) -> list[Block]:
    heading, pairs = _pairs(looks, writer, 3)
    return [
        Block("heading", [[writer.values.draw("company")]]),
        pairs,
        Block("text", heading.rows),
        _text(looks, writer, 3, 4),
    ]


def _grid(looks: random.Random, writer: Writer) -> list[Block]:
    table = writer.table(looks.randint(4, 8), looks.randint(2, 3))
    rows = [
        [name, *(fact.answer for fact in row)] for name, row in zip(table.names, table.cells, strict=True)
    ]
    return [Block("heading", [[table.caption]]), Block("grid", [table.head, *rows])]


def _order(looks: random.Random, writer: Writer) -> list[Block]:
    return [*_pairs(looks, writer, looks.randint(4, 7)), _grid(looks, writer)[1], _text(looks, writer, 1, 2)]


def _slides(looks: random.Random, writer: Writer) -> list[Block]:
    points = [[before + fact.answer + after] for before, fact, after in writer.sentences(4)]
    return [Block("heading", [[writer.heading()]]), Block("text", points), *_pairs(looks, writer, 5)]


def print_office(drafts: Sequence[Draft], dpi: int, program: str | None = None) -> list[Made]:
    """All of them in one run. Raises :class:`UsageError` where LibreOffice is missing or fails."""
    soffice = program or shutil.which("soffice") or shutil.which("libreoffice")
    if soffice is None:
        raise UsageError("No LibreOffice was found: install it, or leave its documents out with --office 0.")
    with tempfile.TemporaryDirectory(prefix="office-") as scratch:
        folder = Path(scratch)
        files = [folder / f"{draft.name}{draft.suffix}" for draft in drafts]
        for file, made in zip(files, drafts, strict=True):
            file.write_bytes(made.data)
        out = folder / "printed"
        profile = f"-env:UserInstallation={(folder / 'profile').as_uri()}"
        subprocess.run(
            [
                soffice, "--headless", "--norestore", profile, "--convert-to", "pdf", "--outdir", str(out),
                *map(str, files),
            ],
            check=True, capture_output=True, timeout=_SECONDS,
        )  # fmt: skip
        missing = [file.name for file in files if not (out / f"{file.stem}.pdf").is_file()]
        if missing:
            raise UsageError(f"LibreOffice printed no PDF of {', '.join(missing)}.")
        return [_made(draft, (out / f"{draft.name}.pdf").read_bytes(), dpi) for draft in drafts]


def _made(draft: Draft, pdf: bytes, dpi: int) -> Made:
    layers = read_layers(pdf, dpi)
    facts: list[tuple[Fact, int, list[Box]]] = []
    for fact in draft.writer.facts:
        found = [(number, boxes) for number, layer in enumerate(layers) for boxes in layer.find(fact.answer)]
        if len(found) == 1:  # a value that is printed twice, or otherwise than written, is not asked for
            facts.append((fact, *found[0]))
    words = [layer.words() for layer in layers]
    kind = draft.suffix[1:]
    title = "" if kind == "csv" else draft.writer.title  # there it is not printed
    return Made(draft.name, kind, pdf, dpi, words, unique_facts(facts), draft.writer.absent, title)


@dataclass(frozen=True)
class Layer:
    """The text of one page and the box of every character, in pixels; no box for what shows nothing."""

    text: str
    boxes: list[Box | None]

    def words(self) -> list[Word]:
        return [
            Word(found.group(), box)
            for found in re.finditer(r"\S+", self.text)
            for box in self._lines(found.start(), found.end())[:1]
        ]

    def find(self, value: str) -> list[list[Box]]:
        """Where ``value`` stands, not as a part of a longer word: the boxes of its lines."""
        pattern = r"(?<!\w)" + r"\s+".join(map(re.escape, value.split())) + r"(?!\w)"
        return [self._lines(*found.span()) for found in re.finditer(pattern, self.text)]

    def _lines(self, start: int, end: int) -> list[Box]:
        seen = [box for box in self.boxes[start:end] if box is not None]
        breaks = [i for i, (a, b) in enumerate(pairwise(seen), start=1) if b.left < a.left]
        cuts = [0, *breaks, len(seen)]
        return [_around(seen[a:b]) for a, b in pairwise(cuts) if b > a]


def _around(boxes: Sequence[Box]) -> Box:
    return Box(
        min(b.left for b in boxes),
        min(b.top for b in boxes),
        max(b.right for b in boxes),
        max(b.bottom for b in boxes),
    )


def read_layers(pdf: bytes, dpi: int) -> list[Layer]:
    """The text layer of every page."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        return [_layer(page, dpi / 72) for page in document]
    finally:
        document.close()


def _layer(page: pypdfium2.PdfPage, scale: float) -> Layer:
    layer, tall = page.get_textpage(), page.get_height()
    text = [layer.get_text_range(i, 1) or " " for i in range(layer.count_chars())]
    boxes: list[Box | None] = []
    for i, character in enumerate(text):
        left, bottom, right, top = layer.get_charbox(i)
        shown = character.strip() and right > left
        boxes.append(
            Box(
                int(left * scale),
                int((tall - top) * scale),
                int(right * scale) + 1,
                int((tall - bottom) * scale) + 1,
            )
            if shown
            else None
        )
    return Layer("".join(c[0] for c in text), boxes)
