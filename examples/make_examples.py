"""Make the example documents and their questions anew:  python examples/make_examples.py --seed 7

Writes ``documents/`` and ``questions.json`` beside this file (or under ``--out``). The same seed gives the
same documents. Another seed gives other names, numbers, dates and products, and slightly other layouts.

``questions.json``: ``{"seed", "dpi", "questions": [{"question", "answer", "document", "page", "box"}]}``.
``box`` is (left, top, right, bottom) of the printed answer in pixels of the page image (PDF pages at
``dpi``, pictures as they are); ``answer``, ``document``, ``page`` and ``box`` are null when no document
answers the question.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from maker import form, invoice, letter, manual, output, product, report, slide

HERE = Path(__file__).resolve().parent
MAKERS = (invoice, report, slide, form, product, letter, manual)
UNANSWERABLE = (
    "What is the registration plate of the delivery van?",
    "Which airline was the flight booked with?",
)


def make(seed: int, out: Path) -> dict[str, object]:
    """Write everything under ``out`` and return the content of ``questions.json``."""
    folder = out / "documents"
    folder.mkdir(parents=True, exist_ok=True)
    questions: list[dict[str, object]] = []
    for maker in MAKERS:
        document = maker.make(seed)
        data, boxes = output.write(document, seed)
        (folder / document.file_name).write_bytes(data)
        for ask in document.asks:
            spot = document.sheet.spots[ask.mark]
            questions.append(
                {
                    "question": ask.question,
                    "answer": spot.text,
                    "document": document.file_name,
                    "page": spot.page,
                    "box": boxes[ask.mark],
                }
            )
    for question in UNANSWERABLE:
        questions.append(dict.fromkeys(("answer", "document", "page", "box"), None) | {"question": question})
    content: dict[str, object] = {"seed": seed, "dpi": output.PDF_DPI, "questions": questions}
    lines = ",\n".join("  " + json.dumps(q, ensure_ascii=False) for q in questions)
    text = f'{{"seed": {seed}, "dpi": {output.PDF_DPI}, "questions": [\n{lines}\n]}}\n'
    (out / "questions.json").write_text(text, encoding="utf-8")
    return content


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the example documents anew.")
    parser.add_argument("--seed", type=int, default=7, help="other seeds give other values (default 7)")
    parser.add_argument(
        "--out", type=Path, default=HERE, help="folder to write to (default: beside this file)"
    )
    options = parser.parse_args()
    content = make(options.seed, options.out)
    questions = content["questions"]
    assert isinstance(questions, list)
    print(f"{len(MAKERS)} documents and {len(questions)} questions in {options.out}")


if __name__ == "__main__":
    main()
