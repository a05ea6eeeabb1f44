"""`hydra-rag eval`: reading, answers, gaze and retrieval of a model on a folder of pages.

Answers come from pixels alone (unless asked otherwise): one page, one question, answered as ``ask`` does,
with a closer look where the gate asks for one; and from the first glance alone. A model with a reading head
is shown what it read itself, as it is in a store. Reading compares that, line by line; other models are shown
lines cut out of the page by the boxes of its words. Retrieval ranks all pages
of the folder by exact MaxSim, by the text search that stores use, and by both
(:mod:`hydra_rag_agents.retrieval_eval`).
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from hydra_rag.errors import UsageError
from hydra_rag.lines import Line, group_lines
from hydra_rag.metrics import anls, edit_distance, exact_match, mean
from hydra_rag_agents.eval_data import EvalPage, open_image, read_pages, read_queries
from hydra_rag_agents.gate_eval import GateFigures
from hydra_rag_agents.gaze_eval import GazeFigures
from hydra_rag_agents.glancing import glance
from hydra_rag_agents.looking import words_in
from hydra_rag_agents.memo import MemoReader
from hydra_rag_agents.one_page import OnePage, ask_page
from hydra_rag_agents.prompts import READ_PROMPT, says_not_found
from hydra_rag_agents.reader import ModelReader
from hydra_rag_agents.retrieval_eval import retrieve
from hydra_rag_agents.state import AskSettings

if TYPE_CHECKING:
    from PIL import Image

    from hydra_rag.model import HydraModel
    from hydra_rag.values import MultiVector, Word
    from hydra_rag_agents.ports import Reader

__all__ = ["PARTS", "builtin_folder", "evaluate_folder"]

#: What an evaluation measures.
PARTS = ("reading", "answers", "gaze", "retrieval")

_MAX_LINES = 20  # lines read per page, evenly spread
_GAP = 1.5  # a wider gap (in line heights) is another cell of a table, or another column
_DOTS = re.compile(r"(?:\. ?){4,}(?<! )")
_READ_TOKENS = 200
Progress = Callable[[int, int], None]


@contextmanager
def builtin_folder(folder: Path | None, pages: int | None = None, seed: int = 1) -> Iterator[Path]:
    """``folder`` itself, or a temporary one with pages made on the spot (held-out fonts and values)."""
    if folder is not None:
        yield folder
        return
    from hydra_rag.training.eval_pages import write_folder

    with tempfile.TemporaryDirectory(prefix="hydra-rag-eval-") as made:
        write_folder(Path(made), pages=pages or 60, seed=seed)
        yield Path(made)


def evaluate_folder(
    folder: Path,
    model: HydraModel,
    *,
    out: Path | None = None,
    limit: int | None = None,
    text_layer: bool = False,
    gate: bool = True,
    parts: Collection[str] = PARTS,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The report on an evaluation folder; writes ``predictions.jsonl`` to ``out`` (default: the folder).

    ``limit``: only the first pages, and the queries about them. ``text_layer``: answers use the
    folder's words. ``gate``: also answer every question with closer looks, always and where the gate says so
    (about five times the work). ``parts``: of :data:`PARTS`, what to measure; the gate is a part of gaze.
    Raises :class:`UsageError` for a folder that is not one and for a part that is none.
    """
    if unknown := sorted(set(parts) - set(PARTS)):
        raise UsageError(f"No part of an evaluation is called {unknown[0]}: choose of {', '.join(PARTS)}.")
    pages = read_pages(folder)[:limit]
    known = {page.image for page in pages}
    queries = [q for q in read_queries(folder, _all_names(folder)) if q.relevant <= known]
    queries = queries if "retrieval" in parts else []
    reader = MemoReader(ModelReader(lambda: model))
    target = out or folder
    target.mkdir(parents=True, exist_ok=True)
    vectors: dict[str, MultiVector] = {}
    reading = _Reading()
    answers = _Answers()
    gaze, gates = GazeFigures(model, reader), GateFigures(reader)
    with (target / "predictions.jsonl").open("w", encoding="utf-8") as log:
        for done, page in enumerate(pages, start=1):
            image = open_image(folder, page.image)
            asked = page.questions if {"answers", "gaze"} & set(parts) else ()
            if queries or asked:
                vectors[page.image] = model.embed_pages([image])[0]
            own = model.read_pages([image])[0] if model.can_read and set(parts) != {"retrieval"} else None
            for line in _spread(group_lines(page.words, max_gap=_GAP)) if "reading" in parts else ():
                _log(log, reading.read(reader, page, image, line, own))
            seen = page if text_layer else replace(page, words=tuple(own or ()))
            shown, read = text_layer or own is not None, own is not None and not text_layer
            glanced = seen
            if gate and asked and read:  # as a picture nobody read before
                glanced = replace(page, words=tuple(model.read_pages([image], close=False)[0]))
            for index, question in enumerate(asked):
                stored = vectors[page.image]
                if "answers" in parts:
                    _log(log, answers.ask(reader, seen, image, index, stored, shown, read=read))
                words = seen.words if reader.profile.bound else ()
                if "gaze" in parts:
                    if (looked := gaze.look(page, image, question, stored, words, read=read)) is not None:
                        _log(log, looked)
                    if gate:
                        _log(log, gates.ask(glanced, image, question, stored, text_layer=shown, read=read))
            reader.forget()
            if progress is not None:
                progress(done, len(pages))
        found, own_image = retrieve(folder, model, reader, pages, queries, vectors, lambda r: _log(log, r))
    return {
        "reading": reading.report(),
        "answers": answers.report(),
        "retrieval": found,
        "own_image": own_image,
        "gaze": gaze.report(gates.report() if gates.records else None),
        "pages": len(pages),
        "model": model.name,
    }


def _all_names(folder: Path) -> set[str]:
    return {page.image for page in read_pages(folder)}


def _log(log: TextIO, record: dict[str, Any]) -> None:
    log.write(json.dumps(record, ensure_ascii=False) + "\n")


def _spread(lines: list[Line]) -> list[Line]:
    """At most so many lines, evenly from top to bottom."""
    if len(lines) <= _MAX_LINES:
        return lines
    return [lines[i * len(lines) // _MAX_LINES] for i in range(_MAX_LINES)]


def _one_line(text: str) -> str:
    """One space between words; a dotted line counts as three dots, however long it is."""
    return _DOTS.sub("...", " ".join(text.split()))


class _Reading:
    def __init__(self) -> None:
        self.wrong = self.total = self.lines = self.exact = 0

    def read(
        self, reader: Reader, page: EvalPage, image: Image.Image, line: Line, own: Sequence[Word] | None
    ) -> dict[str, Any]:
        """``own``: the model's words of the whole page, ``None`` where it can only be asked."""
        box = line.box.pad(max(2, line.box.height // 5)).clip(*image.size)
        if own is None:
            new = min(_READ_TOKENS, len(line.text.encode()) + 16)
            reading = reader.read([image.crop(box)], READ_PROMPT, max_new_tokens=new, seed=0)
            for _ in reading:
                pass
            found = reading.result.text
        else:
            inside = sorted(words_in(own, (line.box,)), key=lambda word: word.box.left)
            found = " ".join(word.text for word in inside)
        text, truth = _one_line(found), _one_line(line.text)
        self.wrong += min(len(truth), edit_distance(text, truth))
        self.total += len(truth)
        self.lines += 1
        self.exact += text == truth
        return {"kind": "reading", "image": page.image, "box": list(box), "truth": truth, "text": text}

    def report(self) -> dict[str, Any] | None:
        if not self.total:
            return None
        accuracy = 1 - self.wrong / self.total
        return {"char_accuracy": accuracy, "line_exact": self.exact / self.lines, "lines": self.lines}


class _Answers:
    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def ask(
        self,
        reader: Reader,
        page: EvalPage,
        image: Image.Image,
        index: int,
        vectors: MultiVector,
        text_layer: bool,
        *,
        read: bool,
    ) -> dict[str, Any]:
        from hydra_rag.evidence import evidence_regions

        asked = page.questions[index]
        words = page.words if text_layer else ()
        library = OnePage(image, words, vectors, read=read)
        settings = AskSettings(k=1, pages=1, text_layer=text_layer)
        answer = ask_page(library, reader, asked.question, settings).answer
        first = glance(reader, image, words, asked.question, name=page.image, respelled=read).result
        missed = says_not_found(first.text) or first.confidence < reader.profile.threshold_for(text_layer)
        regions = evidence_regions(reader.embed(f"{asked.question} {answer.text}"), vectors, top=1)
        record = {
            "kind": "answer",
            "image": page.image,
            "question": asked.question,
            "truth": asked.answer,
            "boxes": [list(box) for box in asked.boxes],
            "text": answer.text.strip(),
            "refused": answer.status != "answered",
            "confidence": round(answer.confidence, 5),
            "glance": None if missed else first.text.strip(),
            "box": list(regions[0][0]) if regions else None,
            "peak": _peak(reader.embed(asked.question), vectors),
        }
        self.records.append(record)
        return record

    def report(self) -> dict[str, Any] | None:
        if not self.records:
            return None
        real = [r for r in self.records if r["truth"] is not None]
        absent = [r for r in self.records if r["truth"] is None]
        told = [("" if r["refused"] else str(r["text"]), str(r["truth"])) for r in real]
        return {
            "exact_match": mean([float(exact_match(text, truth)) for text, truth in told]),
            "exact_match_glance": mean(
                [float(exact_match(r["glance"] or "", str(r["truth"]))) for r in real]
            ),
            "anls": mean([anls(text, truth) for text, truth in told]),
            "unanswerable_recognised": mean([float(r["refused"]) for r in absent]),
            "false_refusals": mean([float(r["refused"]) for r in real]),
            "n": len(self.records),
        }


def _peak(query: MultiVector, page: MultiVector) -> list[int] | None:
    """Centre of the strongest cell of the similarity map, page pixels."""
    import numpy as np

    from hydra_rag.evidence import evidence_map

    if page.boxes is None or not len(page):
        return None
    strength = evidence_map((query.vectors @ page.vectors.T).astype(np.float32))
    left, top, right, bottom = page.boxes[int(strength.argmax())].tolist()
    return [(left + right) // 2, (top + bottom) // 2]
