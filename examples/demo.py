"""The tour behind ``make demo``: ingest the example documents, ask, show answer, page, box and a picture.

python examples/demo.py [--out DIR] [--all] [--need N]

Everything a person would do by hand: ``hydra-rag ingest``, questions through the Python API, and one
``hydra-rag ask --explain``. The exit status is not zero when a step fails, a citation is off its page, the
picture is missing, or fewer than ``--need`` answers are right.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hydra_rag_api import HydraRAG

HERE = Path(__file__).resolve().parent
COMMAND = Path(sys.executable).with_name("hydra-rag")
console = Console(highlight=False, soft_wrap=True)


@dataclass
class Score:
    asked: int = 0
    answers: int = 0
    pages: int = 0
    boxes: int = 0
    with_page: int = 0


class BrokenDemoError(Exception):
    """Something that must work did not."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="where the store and picture go")
    parser.add_argument("--examples", type=Path, default=HERE, help="folder made by make_examples.py")
    parser.add_argument("--all", action="store_true", help="ask every question, not one or two a document")
    parser.add_argument("--model", default="nano", help="another model, as for hydra-rag --model")
    parser.add_argument("--adapter", help="its retrieval adapter")
    parser.add_argument("--need", type=int, default=0, help="fail when fewer answers are right")
    options = parser.parse_args()
    started = time.monotonic()
    try:
        score = tour(options)
    except BrokenDemoError as error:
        console.print(f"\n[bold red]The demo is broken:[/] {error}")
        return 1
    seconds = time.monotonic() - started
    console.print(
        f"\n[bold]{score.answers} of {score.asked}[/] answers right, "
        f"[bold]{score.pages} of {score.with_page}[/] on the right page, "
        f"[bold]{score.boxes} of {score.with_page}[/] boxes cover the evidence, in {seconds:.0f} s."
    )
    if score.answers < options.need:
        console.print(f"[bold red]The demo is broken:[/] at least {options.need} right answers were wanted.")
        return 1
    return 0


def tour(options: argparse.Namespace) -> Score:
    examples, out = options.examples, options.out.resolve()
    questions = json.loads((examples / "questions.json").read_text(encoding="utf-8"))["questions"]
    store = out / "store"
    chosen = [] if options.model == "nano" else ["--model", options.model]
    chosen += ["--adapter", options.adapter] if options.adapter else []
    shutil.rmtree(store, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)

    console.rule("[bold]1. Documents in", align="left")
    done = command("ingest", str(examples / "documents"), "--store", str(store), *chosen)
    show_documents(done["documents"])

    console.rule("[bold]2. Questions", align="left")
    score = Score()
    with HydraRAG(store=store, model=options.model, adapter=options.adapter) as engine:
        sizes = page_sizes(engine)
        for question in questions if options.all else selection(questions):
            result = engine.ask(question["question"]).to_json()
            check_citations(result, sizes)
            show_answer(question, result, score)

    console.rule("[bold]3. The same, explained", align="left")
    question = questions[0]["question"]
    pictures = out / "explained"
    shutil.rmtree(pictures, ignore_errors=True)
    command("ask", question, "--store", str(store), "--explain", str(pictures), *chosen)
    found = sorted(pictures.rglob("*.png"))
    if not found:
        raise BrokenDemoError(f"hydra-rag ask --explain wrote no picture to {pictures}.")
    for picture in found:
        console.print(f"  [cyan]{shown(picture)}[/]")
    return score


def selection(questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first question about every page, the second about the first document, one without an answer."""
    chosen, seen = [], set()
    for question in questions:
        page = (question["document"], question["page"])
        if page not in seen or len(chosen) == 1:
            seen.add(page)
            chosen.append(question)
    return chosen


def command(*arguments: str) -> dict[str, Any]:
    """Run ``hydra-rag`` and return its JSON; progress goes to the terminal."""
    words = " ".join(f'"{a}"' if " " in a else shown(Path(a)) if "/" in a else a for a in arguments)
    console.print(f"[dim]$ hydra-rag {words}[/]")
    done = subprocess.run([str(COMMAND), *arguments, "--json"], stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise BrokenDemoError(f"hydra-rag {arguments[0]} ended with exit code {done.returncode}.")
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        raise BrokenDemoError(f"hydra-rag {arguments[0]} --json did not print JSON: {error}") from error
    return answer


def show_documents(documents: list[dict[str, Any]]) -> None:
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for name, side in (("document", "left"), ("pages", "right"), ("status", "left")):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for document in documents:
        table.add_row(Path(document["path"]).name, str(document["pages"]), document["status"])
    console.print(Padding(table, (0, 0, 1, 0)))
    failed = [d for d in documents if d["status"] not in {"indexed", "unchanged", "replaced"}]
    if failed or not documents:
        raise BrokenDemoError(f"not every document was indexed: {failed}")


def show_answer(question: dict[str, Any], result: dict[str, Any], score: Score) -> None:
    expected, citation = question["answer"], (result["citations"] or [None])[0]
    right = result["status"] == "not_found" if expected is None else same(result["answer"], expected)
    score.asked += 1
    score.answers += right
    console.print(Text(question["question"], style="bold"))
    said = result["answer"] if result["status"] == "answered" else "(not in the documents)"
    lines = Table.grid(padding=(0, 2))
    lines.add_row("  answer", Text(said or "(nothing)", style="green" if right else "red"), mark(right))
    if not right:
        lines.add_row("  expected", Text(expected or "(not in the documents)"), "")
    if expected is not None:
        score.with_page += 1
        on_page = citation is not None and (citation["document"], citation["page"]) == (
            question["document"],
            question["page"],
        )
        box = citation["box"] if citation else None
        covers = bool(on_page and box and covered(question["box"], box) >= 0.5)
        score.pages += on_page
        score.boxes += covers
        where = f"{citation['document']}, page {citation['page']}" if citation else "(no citation)"
        lines.add_row("  page", where, mark(on_page))
        lines.add_row("  box", str(tuple(box)) if box else "(none)", mark(covers))
    console.print(Padding(lines, (0, 0, 1, 0)))


def page_sizes(engine: HydraRAG) -> dict[tuple[str, int], tuple[int, int]]:
    sizes = {}
    for entry in engine.documents:
        document = engine.collection.document(entry.document_id)
        for page in document.page_list:
            sizes[entry.document_id, page.page] = (page.width, page.height)
    return sizes


def check_citations(result: dict[str, Any], sizes: dict[tuple[str, int], tuple[int, int]]) -> None:
    for citation in result["citations"]:
        size = sizes.get((citation["document_id"], citation["page"]))
        if size is None:
            raise BrokenDemoError(f"a citation names a page that does not exist: {citation}")
        if citation["box"] is not None:
            left, top, right, bottom = citation["box"]
            if not (0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]):
                raise BrokenDemoError(f"a citation's box lies outside its page of {size} pixels: {citation}")


def covered(evidence: list[int], box: list[int]) -> float:
    """The part of the evidence's area that lies in ``box``."""
    wide = max(0, min(evidence[2], box[2]) - max(evidence[0], box[0]))
    high = max(0, min(evidence[3], box[3]) - max(evidence[1], box[1]))
    return wide * high / ((evidence[2] - evidence[0]) * (evidence[3] - evidence[1]))


def same(answer: str | None, expected: str) -> bool:
    def plain(text: str) -> str:
        return unicodedata.normalize("NFKC", text).casefold().strip().rstrip(".!?,;: ")

    return plain(answer or "") == plain(expected)


def mark(good: bool) -> str:
    return "[green]✓[/]" if good else "[red]✗[/]"


def shown(path: Path) -> str:
    """As short as it can be said from here."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


if __name__ == "__main__":
    sys.exit(main())
