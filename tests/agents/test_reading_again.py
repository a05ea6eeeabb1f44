"""The built-in model on a picture of small print in a real store: read again, stored, replayed."""

from __future__ import annotations

import random
from pathlib import Path

from PIL import Image, ImageDraw

from hydra_rag.geometry import Box
from hydra_rag.metrics import similarity
from hydra_rag.training.fonts import draw_face
from hydra_rag_agents import HydraRAG

LINES = [("Invoice number", "4711-QX"), ("Total due", "1284.50 EUR"), ("Delivered to", "Bregenz")]
SIZE = (480, 256)


def small_print(path: Path) -> None:
    page = Image.new("RGB", SIZE, "white")
    face = draw_face(random.Random(4), "narrow").at(10)
    for i, (label, value) in enumerate(LINES):
        for left, text in ((40, f"{label}:"), (180, value)):
            ImageDraw.Draw(page).text((left, 40 + 30 * i), text, font=face, fill="black")
    page.save(path)


def test_small_print_of_a_picture_is_read_again_and_the_turn_can_be_replayed(tmp_path: Path) -> None:
    small_print(tmp_path / "note.png")
    with HydraRAG(tmp_path / "store") as rag:
        (made,) = rag.ingest(tmp_path / "note.png", ocr="model")
        assert made.status == "indexed"
        page = rag.collection.page(str(made.document_id), 1)
        assert page.text_source == "model"
        before = rag.collection.page_words(page.document_id, 1)
        told = rag.ask("What is the total due?", gaze="always")
        (gaze,) = [step for step in told.steps if step.action == "gaze"][:1]
        lines = gaze.detail["read"][0].split("\n")
        assert max(similarity(line, "Total due: 1284.50 EUR") for line in lines) > 0.8
        assert gaze.detail["gain"] >= 1.0
        for citation in told.answer.citations:
            assert citation.box is not None
            assert Box(*citation.box).clip(*SIZE) == citation.box
        assert rag.collection.page_words(page.document_id, 1) == before
        (again,) = rag.replay(told.session_id)
        assert again["same"], again["reason"]
