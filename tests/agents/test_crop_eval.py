"""Searching with a crop of the question's own image: the right crop must show in the figures."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.own_image import make
from hydra_rag.errors import UsageError
from hydra_rag.geometry import Box
from hydra_rag.values import QueryItem
from hydra_rag_agents.crop_eval import CropFigures
from hydra_rag_agents.eval_data import EvalQuery, read_queries
from hydra_rag_agents.fuse import fuse
from hydra_rag_agents.gate import Gate
from hydra_rag_agents.state import ReaderProfile
from hydra_rag_agents.testing import LOOK, ScriptedReader

SIZE = (1200, 1600)


@dataclass(frozen=True)
class Hit:
    document_id: str
    score: float
    page: int = 1
    rank: int = 0


ITEM = Box(0, 0, 300, 400)
ITEM_CELL, OTHER_CELL = 1 * LOOK.cols + 1, (LOOK.rows - 2) * LOOK.cols + LOOK.cols - 2


def rank(item: QueryItem) -> Sequence[tuple[str, float]]:
    """Only a crop at the item's place (marked by its colour) finds the page, and then clearly; the whole
    image does not have it among its first ten."""
    assert isinstance(item, dict)
    image = item["image"]
    assert isinstance(image, Image.Image)
    others = [(f"other{i}", 20.0 - i / 4) for i in range(12)]
    if image.size != SIZE and image.getpixel((2, 2)) == (255, 0, 0):
        return [("page", 40.0), *others]
    return [*others, ("page", 1.0)]


def figures(cell: int, gate: Gate | None = None) -> CropFigures:
    reader = ScriptedReader(lambda images, text: ("", 0.0), ReaderProfile(style="nano", image_tokens=600))
    reader.gaze_at = lambda image, question: [float(i == cell) for i in range(LOOK.cells)]
    reader.gate = gate or Gate()
    made = CropFigures(reader, rank)
    image = Image.new("RGB", SIZE, "white")
    image.paste((255, 0, 0), tuple(ITEM))
    record = made.ask(EvalQuery("What is the fee?", "q.png", frozenset({"page"}), (ITEM,)), image)
    assert record["given"]["ranked"][0] == "page"
    return made


def test_a_gaze_at_the_item_finds_its_page() -> None:
    report = figures(ITEM_CELL).report()
    assert report is not None
    assert (report["whole"]["ndcg@5"], report["always"]["ndcg@5"]) == (0.0, 1.0)
    assert report["auto"] == report["always"] == report["given"]
    assert (report["pointing"], report["n"]) == (1.0, 1)


def test_a_gaze_at_something_else_does_not() -> None:
    report = figures(OTHER_CELL).report()
    assert report is not None
    assert report["always"]["ndcg@5"] == report["auto"]["ndcg@5"] == report["pointing"] == 0.0
    assert report["given"]["ndcg@5"] == 1.0


def test_fused_scores_go_from_1_to_0_and_ties_keep_their_order() -> None:
    whole = [Hit("a", 9.0), Hit("b", 5.0), Hit("c", 1.0)]
    assert fuse([whole]) == whole
    fused = fuse([whole, [Hit("d", 3.0), Hit("b", 2.0), Hit("e", 1.0)]])
    assert [(hit.document_id, round(hit.score, 3)) for hit in fused] == [
        ("d", 0.667), ("b", 0.5), ("a", 0.333), ("c", 0.0), ("e", 0.0),
    ]  # fmt: skip
    assert [hit.rank for hit in fused] == [1, 2, 3, 4, 5]
    assert fuse([whole[:1], whole[:1]])[0].score == 1.0
    assert fuse([[], []]) == []


def test_a_shut_gate_searches_with_the_whole_image() -> None:
    report = figures(ITEM_CELL, Gate(max_area=0.0)).report()
    assert report is not None
    assert report["auto"] == report["whole"]
    assert report["always"]["recall@5"] == 1.0


def test_nothing_asked_is_no_figure() -> None:
    assert CropFigures(ScriptedReader(lambda images, text: ("", 0.0)), rank).report() is None


def test_query_images_are_made_of_pages_of_which_one_has_the_field(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    labels = "fee weight colour deposit driver platform ward".split()
    lines = []
    for i, label in enumerate(labels):
        Image.new("RGB", (700, 500), (40 * i, 0, 0)).save(folder / f"{label}.png")
        question = {"question": f"What is the {label}?", "answer": "7", "boxes": [[300, 200, 340, 220]]}
        words = [{"text": label, "box": [200, 200, 260, 220]}, {"text": "7", "box": [300, 200, 340, 220]}]
        lines.append(json.dumps({"image": f"{label}.png", "words": words, "questions": [question]}) + "\n")
    (folder / "pages.jsonl").write_text("".join(lines), encoding="utf-8")
    assert make(folder, out, queries=5, rng=random.Random(0)) == 5
    for query in read_queries(out, {f"{label}.png" for label in labels}):
        (page,) = query.relevant
        assert page.removesuffix(".png") in query.query
        assert query.image is not None
        with Image.open(out / query.image) as image:
            tone = image.getpixel((query.boxes[0].left + 5, query.boxes[0].top + 5))
        assert tone == (40 * labels.index(page.removesuffix(".png")), 0, 0)


def test_a_wrong_box_names_its_line(tmp_path: Path) -> None:
    line = {"query": "x", "image": None, "relevant": ["a.png"], "boxes": [[1, 2]]}
    (tmp_path / "queries.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    with pytest.raises(UsageError, match="line 1"):
        read_queries(tmp_path, {"a.png"})
