"""Make pages of small and of large print, with more pixels than a glance shows: does a closer look pay?

    python -m benchmarks.small_print OUT --pages 18
    hydra-rag eval OUT --part gaze

Pages are twice as large as the model sees them whole. Every other one is set in print of 8 to 11 pixels an em
in the glance, the rest in 14 to 20, as our page maker sets its pages elsewhere. ``gaze`` of the report has
the accuracy without, with and with gated closer looks by the height of the evidence's words.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from hydra_rag.training.eval_pages import write_folder

#: Merged cells of a page, and its print in pixels an em, at twice what a glance shows.
_CELLS = (80, 56)
_PRINT = {"small": (16, 22), "large": (28, 40)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--pages", type=int, default=18)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    make(given.out, given.pages, given.seed)
    print(f"{given.out}: {given.pages} pages")


def make(out: Path, pages: int, seed: int) -> None:
    """``pages`` pages, the first of each two small print, of every layout of the page maker."""
    parts = {}
    for number, (name, size) in enumerate(_PRINT.items()):
        count = (pages + 1 - number) // 2
        write_folder(out / name, pages=count, seed=2 * seed + number, cells=_CELLS, size=size)
        lines = (out / name / "pages.jsonl").read_text(encoding="utf-8").splitlines()
        parts[name] = [json.loads(line) for line in lines]
    mixed = []
    for i in range(pages):
        name = list(_PRINT)[i % 2]
        record = parts[name][i // 2]
        mixed.append({**record, "image": f"{name}/{record['image']}"})
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in mixed)
    (out / "pages.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
