"""OCR of pages without a text layer: only when asked for or installed, marked as such."""

from __future__ import annotations

import os
import time
from pathlib import Path
from queue import SimpleQueue
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
    monkeypatch.setattr(ocr, "_IDLE", SimpleQueue())
    monkeypatch.setattr(ocr, "_new_engine", lambda: lambda pixels, return_word_box: answers.pop(0))
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


def test_pages_are_read_side_by_side_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Later pages are done sooner here; every engine has one user at a time and is used again."""
    path = tmp_path / "scans.pdf"
    path.write_bytes(make_pdf([Leaf(b"0 0 50 50 re f", media=(0, 0, 100 + 20 * n, 100)) for n in range(6)]))
    busy: set[int] = set()
    made: list[object] = []

    def new_engine() -> object:
        name = len(made)

        def engine(pixels: np.ndarray, return_word_box: bool) -> SimpleNamespace:
            assert name not in busy, "two threads share an engine"
            busy.add(name)
            time.sleep(0.3 / pixels.shape[1] * 100)
            busy.remove(name)
            box = [[0, 0], [9, 0], [9, 9], [0, 9]]
            return SimpleNamespace(word_results=(((str(pixels.shape[1]), 0.9, box),),))

        made.append(engine)
        return engine

    monkeypatch.setattr(ocr, "available", lambda: True)
    monkeypatch.setattr(ocr, "_IDLE", SimpleQueue())
    monkeypatch.setattr(ocr, "_new_engine", new_engine)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    for _ in range(2):
        pages = list(load_pages(path))
        assert [page.words[0].text for page in pages] == [str(page.image.width) for page in pages]
        assert [page.number for page in pages] == [1, 2, 3, 4, 5, 6]
    assert 1 < len(made) <= 3


def test_a_picture_that_the_engine_fails_on_comes_after_those_before_it(
    tmp_path: Path, reader: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "scans.pdf"
    path.write_bytes(make_pdf([Leaf(b"0 0 50 50 re f", media=(0, 0, 100 + 20 * n, 100)) for n in range(5)]))
    widths = [page.image.width for page in load_pages(path, ocr="never")]

    def read(image: Image.Image) -> list[Word]:
        if image.width == widths[2]:
            raise ValueError("broken")
        return [Word(str(image.width), Box(1, 2, 3, 4))]

    monkeypatch.setattr(ocr, "read_words", read)
    pages = load_pages(path)
    assert [next(pages).words[0].text for _ in range(2)] == [str(width) for width in widths[:2]]
    with pytest.raises(ValueError, match="broken"):
        next(pages)
