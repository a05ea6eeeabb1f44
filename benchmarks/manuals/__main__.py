"""Make a retrieval folder for ``hydra-rag eval`` of windows of public manuals and questions about them.

    python -m benchmarks.manuals make MANUALS OUT        # MANUALS: the folder with the PDF files
    hydra-rag eval OUT --part retrieval
    python -m benchmarks.manuals score OUT               # by kind of question

The questions were written from the pages by hand and nothing was chosen on them. A question counts as
answered by its page alone, also where another page would do. With ``--list choosing`` (for ``make`` and for
``score``) it is other pages and other questions, to choose constants by.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from pathlib import Path
from typing import Any

from hydra_rag_indexing.files import Limits, load_pages

KINDS = ("manual", "other")
LISTS = ("questions", "choosing")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    make_command = commands.add_parser("make")
    make_command.add_argument("manuals", type=Path)
    make_command.add_argument("out", type=Path)
    make_command.set_defaults(run=lambda given: make(given.manuals, given.out, given.list))
    score_command = commands.add_parser("score")
    score_command.add_argument("out", type=Path)
    score_command.set_defaults(run=lambda given: score(given.out, given.list))
    for command in (make_command, score_command):
        command.add_argument("--list", choices=LISTS, default=LISTS[0])
    given = parser.parse_args()
    given.run(given)


def _asked(name: str) -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name(f"{name}.toml").read_text(encoding="utf-8"))


def make(manuals: Path, out: Path, name: str = LISTS[0]) -> None:
    """Write page images, ``pages.jsonl`` and ``queries.jsonl``."""
    asked = _asked(name)
    pages = _pages(manuals, out, asked["windows"])
    queries = [
        {"query": question, "image": None, "relevant": [_name(manual, number)]}
        for kind in KINDS
        for manual, questions in asked[kind].items()
        for number, question in questions
    ]
    _write(out / "pages.jsonl", pages)
    _write(out / "queries.jsonl", queries)
    print(f"{out}: {len(pages)} pages, {len(queries)} questions")


def score(out: Path, name: str = LISTS[0]) -> None:
    """Print recall at 1 and 5 of every mode, by kind of question, from ``predictions.jsonl``."""
    asked = _asked(name)
    lines = (out / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    records = [record for record in map(json.loads, lines) if record["kind"] == "retrieval"]
    for kind in KINDS:
        questions = {question for found in asked[kind].values() for _, question in found}
        for mode in ("visual", "text", "hybrid"):
            ranks = [
                next(iter(record["ranks"].values())) or 10**9
                for record in records
                if record["mode"] == mode and record["query"] in questions
            ]
            at = {k: sum(rank <= k for rank in ranks) / len(ranks) for k in (1, 5)}
            print(f"{kind:7} {mode:7} recall@1 {at[1]:.2f}  recall@5 {at[5]:.2f}  n {len(ranks)}")


def _pages(manuals: Path, folder: Path, windows: dict[str, list[int]]) -> list[dict[str, Any]]:
    folder.mkdir(parents=True, exist_ok=True)
    made: list[dict[str, Any]] = []
    for manual, (start, count) in windows.items():
        for page in load_pages(manuals / manual, limits=Limits(), ocr="never"):
            if page.number >= start + count:
                break
            if page.number >= start:
                name = _name(manual, page.number)
                page.image.save(folder / name, compress_level=1)
                words = [{"text": word.text, "box": list(word.box)} for word in page.words]
                made.append({"image": name, "words": words, "questions": []})
    return made


def _name(manual: str, page: int) -> str:
    return f"{Path(manual).stem}-{page}.png"


def _write(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records), encoding="utf-8")


if __name__ == "__main__":
    main()
