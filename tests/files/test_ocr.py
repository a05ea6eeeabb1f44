"""OCR of pages without a text layer: only when asked for or installed, marked as such."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from hydra_rag.errors import MissingExtraError, UsageError
from hydra_rag.geometry import Box
from hydra_rag.values import Word
from hydra_rag_indexing.files import load_pages, ocr
from tests.files.makers import Leaf, encode, make_pdf, show


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A picture of three words."""
    source = tmp_path / "source.pdf"
    source.write_bytes(make_pdf([Leaf(show("Invoice total 1234", 30, 90, 24))]))
    (page,) = load_pages(source, ocr="never")
    path = tmp_path / "scan.png"
    path.write_bytes(encode(page.image, "PNG"))
    return path


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Instead of the engine: notes the sizes it is asked to read and finds one word."""
    seen: list[tuple[int, int]] = []

    def read(image: Image.Image) -> list[Word]:
        seen.append(image.size)
        return [Word("seen", Box(1, 2, 3, 4))]

    monkeypatch.setattr(ocr, "available", lambda: True)
    monkeypatch.setattr(ocr, "read_words", read)
    return seen


def test_auto_reads_only_pages_without_a_layer(tmp_path: Path, reader: list[tuple[int, int]]) -> None:
    path = tmp_path / "mixed.pdf"
    path.write_bytes(
        make_pdf([Leaf(show("layer", 20, 20)), Leaf(b"0 0 50 50 re f"), Leaf(show("layer", 20, 20))])
    )
    pages = list(load_pages(path))
    assert [page.text_source for page in pages] == ["layer", "ocr", "layer"]
    assert [word.text for word in pages[1].words] == ["seen"]
    assert reader == [(600, 400)]
    assert [page.text_source for page in load_pages(path, ocr="never")] == ["layer", None, "layer"]
    assert len(reader) == 1


def test_always_reads_every_page(tmp_path: Path, reader: list[tuple[int, int]]) -> None:
    path = tmp_path / "layer.pdf"
    path.write_bytes(make_pdf([Leaf(show("layer", 20, 20))] * 2))
    assert [page.text_source for page in load_pages(path, ocr="always")] == ["ocr", "ocr"]
    assert len(reader) == 2


def test_without_the_extra(scan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "find_spec", lambda name: None)
    (page,) = load_pages(scan, ocr="auto")
    assert page.text_source is None
    with pytest.raises(MissingExtraError) as caught:
        load_pages(scan, ocr="always")
    assert "hydra-rag[ocr]" in caught.value.message
    with pytest.raises(UsageError):
        load_pages(scan, ocr="perhaps")  # type: ignore[arg-type]


def test_answers_of_the_engine_become_words(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (
        (
            ("Hello", 0.9, [[1, 2], [30, 3], [30, 12], [1, 11]]),
            ("doubtful", 0.2, [[0, 0], [9, 0], [9, 9], [0, 9]]),
        ),
        (("two words", 0.8, [[5, 20], [300, 20], [300, 30], [5, 30]]),),
    )
    answers = [
        SimpleNamespace(word_results=lines),
        SimpleNamespace(word_results=(("", 1.0, None),)),
        SimpleNamespace(),
    ]
    monkeypatch.setattr(ocr, "_engine", lambda: lambda pixels, return_word_box: answers.pop(0))
    image = Image.fromarray(np.eye(40, 100, dtype=np.uint8) * 255).convert("RGB")
    assert ocr.read_words(image) == [
        Word("Hello", Box(1, 2, 30, 12)),
        Word("two", Box(5, 20, 100, 30)),
        Word("words", Box(5, 20, 100, 30)),
    ]
    assert ocr.read_words(image) == []
    assert ocr.read_words(image) == []
    assert ocr.read_words(Image.new("RGB", (40, 40), "white")) == []


def test_real_engine_reads_a_scan(scan: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (page,) = load_pages(scan, ocr="auto")
    assert page.text_source == "ocr"
    assert [word.text for word in page.words] == ["Invoice", "total", "1234"]
    # Baseline 90 of 200 points at 2 pixels a point; x from 30 points.
    assert abs(page.words[0].box.left - 62) < 12
    assert all(160 < word.box.top < 200 < word.box.bottom < 245 for word in page.words)
    assert capfd.readouterr() == ("", "")
