"""Make evaluation folders of documents that a browser and an office suite printed.

python -m benchmarks.other_programs OUT --seed 1 [--documents 50] [--lookalikes 200]
hydra-rag eval OUT/answers --json
hydra-rag eval OUT/lookalikes --json
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from pathlib import Path

from benchmarks.other_programs.browser import Browser, open_browser
from benchmarks.other_programs.content import Writer
from benchmarks.other_programs.folder import Folder, Made, query_for, writer_for
from benchmarks.other_programs.office import draft, print_office
from benchmarks.other_programs.office_files import WRITERS
from benchmarks.other_programs.pages_html import LAYOUTS
from benchmarks.other_programs.printing import print_html
from benchmarks.other_programs.values import Values

#: What look-alikes are made of: layouts of the browser, and kinds of office files.
TEMPLATES = (
    "boxed_form", "invoice", "definitions", ".docx", "product",
    "table_page", ".fods", "cards", "ticket", "letter",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--documents", type=int, default=56)
    parser.add_argument("--lookalikes", type=int, default=200)
    parser.add_argument("--office", type=int, default=18, help="how many of the documents LibreOffice prints")
    parser.add_argument("--dpi", type=int, default=144)
    parser.add_argument("--chromium", help="path of the browser (default: the one on the search path)")
    given = parser.parse_args()
    with open_browser(given.chromium) as browser:
        answers(browser, given.out / "answers", given.seed, given.documents, given.office, given.dpi)
        lookalikes(browser, given.out / "lookalikes", given.seed, given.lookalikes, given.dpi)


def answers(browser: Browser, out: Path, seed: str, count: int, office: int, dpi: int) -> None:
    """Documents of every layout and kind of file, with questions."""
    folder, layouts, suffixes = Folder(out), list(LAYOUTS), list(WRITERS)
    made = []
    for i in range(count - office):
        layout = layouts[i % len(layouts)]
        made.append(_fitting(browser, f"{layout}{i:03}", layout, f"{seed} {i}", dpi))
    drafts = []
    for i in range(office):
        suffix, looks = suffixes[i % len(suffixes)], random.Random(f"{seed} office {i} looks")
        drafts.append(draft(f"{suffix[1:]}{i:03}", suffix, looks, writer_for(f"{seed} office {i}")))
    made += print_office(drafts, dpi) if drafts else []
    for document in made:
        rng = random.Random(f"{seed} {document.name} asked")
        names = folder.add(document, rng, questions=4, absent=0.6)
        named = [(f, page) for f, page, _ in document.facts if f.label and len(f.answer) >= 6]
        if named:
            fact, page = rng.choice(named)
            folder.query(query_for(fact, document.title, rng), [names[page]])
    folder.close()


def _fitting(browser: Browser, name: str, layout: str, seed: str, dpi: int) -> Made:
    for attempt in range(40):
        looks = random.Random(f"{seed} {attempt} looks")
        made = print_html(browser, name, layout, looks, writer_for(f"{seed} {attempt}"), dpi)
        if made is not None:
            return made
    raise RuntimeError(f"No page of the layout {layout} fitted.")


def lookalikes(
    browser: Browser, out: Path, seed: str, count: int, dpi: int, templates: Sequence[str] = TEMPLATES
) -> None:
    """Pages that differ in their values alone, template by template, and queries that name one of them."""
    folder = Folder(out)
    made: list[Made] = []
    for t, template in enumerate(templates):
        each = count // len(templates) + (t < count % len(templates))
        if template in WRITERS:
            made += _alike_office(template, f"{seed} {t}", each, dpi)
        else:
            made += _alike_printed(browser, template, f"{seed} {t}", each, dpi)
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


def _alike_office(suffix: str, base: str, count: int, dpi: int) -> list[Made]:
    drafts = [
        draft(f"{suffix[1:]}{i:03}", suffix, random.Random(f"{base} looks"), _alike_writer(base, i))
        for i in range(count)
    ]
    return [page for page in print_office(drafts, dpi) if len(page.words) == 1] if drafts else []


def _alike_printed(browser: Browser, layout: str, base: str, count: int, dpi: int) -> list[Made]:
    for change in range(20):  # a template that is too full gives way to another
        template, pages = f"{base} {change}", list[Made]()
        for attempt in range(3 * count):
            if len(pages) == count:
                break
            looks, words = random.Random(f"{template} looks"), _alike_writer(template, attempt)
            page = print_html(browser, f"{layout}{len(pages):03}", layout, looks, words, dpi)
            if page is not None and len(page.words) == 1:
                pages.append(page)
        if len(pages) == count:
            return pages
    raise RuntimeError(f"No template of the layout {layout} fitted.")


def _alike_writer(template: str, page: int) -> Writer:
    """The same fields, labels and formats for all pages of a template; other values."""
    values = Values(random.Random(f"{template} {page} values"), random.Random(f"{template} formats"))
    return Writer(random.Random(f"{template} words"), values)


if __name__ == "__main__":
    main()
