"""Make evaluation folders of documents that a browser and an office suite printed.

python -m benchmarks.other_programs OUT --seed 1 [--documents 50] [--lookalikes 200]
hydra-rag eval OUT/answers --json
hydra-rag eval OUT/lookalikes --json
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from benchmarks.other_programs.browser import Browser, open_browser
from benchmarks.other_programs.content import Writer
from benchmarks.other_programs.folder import Folder, Made, query_for, writer_for
from benchmarks.other_programs.pages_html import LAYOUTS
from benchmarks.other_programs.printing import print_html
from benchmarks.other_programs.values import Values

TEMPLATES = ("boxed_form", "invoice", "definitions", "product", "table_page", "cards", "ticket", "letter")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--documents", type=int, default=50)
    parser.add_argument("--lookalikes", type=int, default=200)
    parser.add_argument("--dpi", type=int, default=144)
    parser.add_argument("--chromium", help="path of the browser (default: the one on the search path)")
    given = parser.parse_args()
    with open_browser(given.chromium) as browser:
        answers(browser, given.out / "answers", given.seed, given.documents, given.dpi)
        lookalikes(browser, given.out / "lookalikes", given.seed, given.lookalikes, given.dpi)


def answers(browser: Browser, out: Path, seed: str, count: int, dpi: int) -> None:
    """Documents of every layout, with questions."""
    folder, kinds = Folder(out), list(LAYOUTS)
    for i in range(count):
        layout = kinds[i % len(kinds)]
        made = _fitting(browser, f"{layout}{i:03}", layout, f"{seed} {i}", dpi)
        rng = random.Random(f"{seed} {i} asked")
        names = folder.add(made, rng, questions=4, absent=0.6)
        named = [(f, page) for f, page, _ in made.facts if f.label and len(f.answer) >= 6]
        if named:
            fact, page = rng.choice(named)
            folder.query(query_for(fact, made.title, rng), [names[page]])
    folder.close()


def _fitting(browser: Browser, name: str, layout: str, seed: str, dpi: int) -> Made:
    for attempt in range(40):
        looks = random.Random(f"{seed} {attempt} looks")
        made = print_html(browser, name, layout, looks, writer_for(f"{seed} {attempt}"), dpi)
        if made is not None:
            return made
    raise RuntimeError(f"No page of the layout {layout} fitted.")


def lookalikes(browser: Browser, out: Path, seed: str, count: int, dpi: int) -> None:
    """Pages that differ in their values alone, template by template, and queries that name one of them."""
    folder = Folder(out)
    made: list[Made] = []
    for t, layout in enumerate(TEMPLATES):
        each = count // len(TEMPLATES) + (t < count % len(TEMPLATES))
        pages: list[Made] = []
        attempt = 0
        while len(pages) < each:
            base = f"{seed} {t} {attempt // 200}"  # a template that is always too full gives way to another
            if attempt % 200 == 0:
                pages = []
            words = Writer(
                random.Random(f"{base} words"),
                Values(random.Random(f"{base} {attempt} values"), random.Random(f"{base} formats")),
            )
            page = print_html(
                browser, f"{layout}{len(pages):03}", layout, random.Random(f"{base} looks"), words, dpi
            )
            attempt += 1
            if page is not None and len(page.words) == 1:
                pages.append(page)
        made += pages
    said: dict[str, int] = {}
    for page in made:
        for answer in {fact.answer for fact, _, _ in page.facts}:
            said[answer] = said.get(answer, 0) + 1
    rng = random.Random(f"{seed} queries")
    for page in made:
        names = folder.add(page, rng, questions=0, absent=0)
        alone = [f for f, _, _ in page.facts if said[f.answer] == 1 and f.label and len(f.answer) >= 5]
        if alone and rng.random() < 0.6:
            folder.query(query_for(rng.choice(alone), page.title, rng), names)
    folder.close()


if __name__ == "__main__":
    main()
