"""Write evaluation folders of made pages: held-out fonts and values, the format of ``hydra-rag eval``."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from hydra_rag.nano.build import CELL
from hydra_rag.training.documents import LAYOUTS, Fact, MadePage, make_page
from hydra_rag.training.documents.absent import absent_question
from hydra_rag.training.text_source import held_out

#: To learn from: so many questions of a page, and tries to find one without an answer.
_LEARNED, _ABSENT = 5, 2


def page_record(name: str, page: MadePage, rng: random.Random, *, learning: bool = False) -> dict[str, Any]:
    """One line of ``pages.jsonl``: words, questions with held-out values, often one without an answer.
    ``learning``: questions of any values instead, and more without an answer."""
    facts = [f for f in page.facts if sum(f.questions[0] in g.questions for g in page.facts) == 1]
    if learning:
        rng.shuffle(facts)
        facts = facts[:_LEARNED]
    else:
        facts = [f for f in facts if held_out(f.answer)]
    questions: list[dict[str, Any]] = [
        {"question": f.questions[0], "answer": f.answer, "boxes": [list(b) for b in f.boxes], "kind": f.kind}
        for f in facts
    ]
    for share in (0.6,) * _ABSENT if learning else (0.5,):
        if rng.random() < share and (question := absent_question(rng, page)):
            questions.append({"question": question, "answer": None, "boxes": [], "kind": "absent"})
    return {
        "image": name,
        "words": [{"text": w.text, "box": list(w.box)} for w in page.words],
        "questions": questions,
    }


def write_folder(
    folder: Path,
    *,
    pages: int,
    seed: int,
    cells: tuple[int, int] = (40, 28),
    size: tuple[int, int] = (14, 20),
    learning: bool = False,
) -> None:
    """``pages`` full pages (by default 896 × 1280 pixels), and for nearly every page a query: what is asked
    for, and a value of at least six characters that no other page of the folder says. ``learning``: see
    :func:`page_record`."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds = list(LAYOUTS)
    texts: list[str] = []
    asked: list[tuple[random.Random, list[Fact]]] = []
    with (folder / "pages.jsonl").open("w", encoding="utf-8") as out:
        for i in range(pages):
            rng = random.Random(seed * 1_000_003 + i)
            page = make_page(
                rng,
                cells[1] * CELL,
                cells[0] * CELL,
                size=size,
                layout=kinds[i % len(kinds)],
                fonts="held_out",
                wear=(0.0, 0.5, 1.0)[i % 3],
            )
            name = f"p{i:04}.png"
            page.image.save(folder / name, compress_level=1)
            out.write(json.dumps(page_record(name, page, rng, learning=learning), ensure_ascii=False) + "\n")
            texts.append(" ".join(w.text for w in page.words).casefold())
            asked.append((rng, [f for f in page.facts if len(f.answer) >= 6]))
    queries: list[dict[str, Any]] = []
    for i, (rng, facts) in enumerate(asked):
        rest = texts[:i] + texts[i + 1 :]
        if own := [f for f in facts if not any(f.answer.casefold() in text for text in rest)]:
            fact = rng.choice(own)
            noun = fact.questions[0].rstrip("?.").removeprefix("What is the ")
            queries.append({"query": f"{noun} {fact.answer}", "image": None, "relevant": [f"p{i:04}.png"]})
    with (folder / "queries.jsonl").open("w", encoding="utf-8") as out:
        for query in queries:
            out.write(json.dumps(query, ensure_ascii=False) + "\n")
