"""Make queries with an image of many items out of any evaluation folder: which page is the item from?

    hydra-rag eval --builtin ...                                     # or a folder of your own, or of
    python -m benchmarks.other_programs MADE                         # documents of other programs
    python -m benchmarks.own_image MADE/answers OUT --queries 40     # (MADE omitted: pages made on the spot)
    hydra-rag eval OUT --part retrieval

A query image shows six clippings of six pages. The words ask for a field that only one of them has, and the
page that it was cut from is the right one. Whole images show five wrong pages as well as the right one, so
that searching with the part that the words are about should win; by how much, ``own_image`` of the report
says, for the crop that the model chooses and for the one that it should choose.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from hydra_rag.geometry import Box
from hydra_rag_agents.eval_data import EvalPage, EvalQuestion, open_image, read_pages
from hydra_rag_agents.evaluation import builtin_folder

_CELL = (600, 280)
_COLUMNS, _ROWS = 2, 3
_TRIES = 400
_WORD = re.compile(r"[^\W_]{3,}")
_ASKING = frozenset("what which who when where how much many does did has have the was are for with".split())


@dataclass(frozen=True)
class Clipping:
    page: EvalPage
    asked: EvalQuestion
    box: Box

    def says(self, words: set[str]) -> bool:
        """Whether a word of ``words`` is printed in it, or stands in what it can be asked."""
        shown = " ".join(w.text for w in self.page.words if w.box.intersect(self.box).area)
        return bool(words & set(map(str.lower, _WORD.findall(shown))))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="[FOLDER] OUT")
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--pages", type=int, default=60, help="pages to make where no folder is given")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    *source, out = given.paths
    with builtin_folder(source[0] if source else None, given.pages, given.seed) as folder:
        count = make(folder, out, queries=given.queries, rng=random.Random(given.seed))
    print(f"{out}: {count} queries")


def make(folder: Path, out: Path, *, queries: int, rng: random.Random) -> int:
    """Write pages (without their questions) and queries; returns how many could be made."""
    pages = read_pages(folder)
    out.mkdir(parents=True, exist_ok=True)
    lines = []
    for page in pages:
        (out / page.image).unlink(missing_ok=True)
        _same_file(folder / page.image, out / page.image)
        words = [{"text": w.text, "box": list(w.box)} for w in page.words]
        lines.append({"image": page.image, "words": words, "questions": []})
    clippings = [c for page in pages for asked in page.questions for c in _clip(folder, page, asked)]
    rng.shuffle(clippings)
    asked_for: list[dict[str, object]] = []
    for clipping in clippings:
        if len(asked_for) == queries:
            break
        others = _others(clipping, clippings, rng)
        if others is None:
            continue
        name = f"query{len(asked_for):03}.png"
        image, box = _collage(folder, clipping, others, rng)
        image.save(out / name, compress_level=1)
        asked_for.append(
            {
                "query": clipping.asked.question,
                "image": name,
                "relevant": [clipping.page.image],
                "boxes": [list(box)],
            }
        )
    for file, records in (("pages.jsonl", lines), ("queries.jsonl", asked_for)):
        text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        (out / file).write_text(text, encoding="utf-8")
    return len(asked_for)


def _same_file(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        target.write_bytes(source.read_bytes())


def _clip(folder: Path, page: EvalPage, asked: EvalQuestion) -> list[Clipping]:
    """The surroundings of the evidence, as wide and as high as one cell; none for scattered evidence."""
    if asked.answer is None or len(asked.boxes) != 1 or not asked.boxes[0].area:
        return []
    width, height = open_image(folder, page.image).size
    box = asked.boxes[0]
    around = Box(
        max(0, box.right - _CELL[0] + 60), max(0, box.top - _CELL[1] // 2), box.right + 60, box.bottom + 60
    ).clip(width, height)
    if around.width > _CELL[0] or around.height > _CELL[1] or box.width > _CELL[0] - 60:
        return []
    return [Clipping(page, asked, around)]


def _others(chosen: Clipping, pool: Sequence[Clipping], rng: random.Random) -> list[Clipping] | None:
    """Clippings of other pages, none of which shows a word of the question."""
    words = {w for w in map(str.lower, _WORD.findall(chosen.asked.question)) if w not in _ASKING}
    if not words or not chosen.says(words):
        return None
    found: dict[str, Clipping] = {}
    for _ in range(_TRIES):
        other = rng.choice(pool)
        if other.page.image != chosen.page.image and not other.says(words):
            found.setdefault(other.page.image, other)
        if len(found) == _COLUMNS * _ROWS - 1:
            return list(found.values())
    return None


def _collage(
    folder: Path, chosen: Clipping, others: Sequence[Clipping], rng: random.Random
) -> tuple[Image.Image, Box]:
    """The clippings in random order on a desk, and where the chosen one lies."""
    every = [chosen, *others]
    rng.shuffle(every)
    gap = 16
    tone = rng.randint(120, 200)
    desk = Image.new(
        "RGB", (_COLUMNS * (_CELL[0] + gap) + gap, _ROWS * (_CELL[1] + gap) + gap), (tone, tone, tone)
    )
    place = Box(0, 0, 0, 0)
    for i, clipping in enumerate(every):
        piece = open_image(folder, clipping.page.image).crop(clipping.box)
        left = gap + (i % _COLUMNS) * (_CELL[0] + gap) + rng.randint(0, _CELL[0] - piece.width)
        top = gap + (i // _COLUMNS) * (_CELL[1] + gap) + rng.randint(0, _CELL[1] - piece.height)
        desk.paste(piece, (left, top))
        if clipping is chosen:
            place = Box(left, top, left + piece.width, top + piece.height)
    return desk, place


if __name__ == "__main__":
    main()
