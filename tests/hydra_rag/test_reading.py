"""Reading pages with the vision tower: the head, its training loss, and words with boxes."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw

from hydra_rag.errors import ModelError, UnsupportedModelError
from hydra_rag.model import HydraModel
from hydra_rag.nano.alphabet import ALPHABET
from hydra_rag.read_words import words_of
from hydra_rag.reading import (
    FILE_NAME,
    STEPS,
    ReadingHead,
    RowText,
    Transcript,
    collapse,
    load_head,
    save_head,
)
from hydra_rag.training.dense import rows_loss
from tests.hydra_rag.conftest import noise


def test_rows_follow_the_page_not_the_order_of_the_tower() -> None:
    head = ReadingHead(4, "ab")
    rows, cols = 4, 6
    # Patches come cell by cell: each is marked with its place on the page.
    places = torch.arange(rows * cols).view(rows // 2, 2, cols // 2, 2).transpose(1, 2).reshape(-1)
    seen = torch.zeros(rows * cols, 4)
    seen[:, 0] = places
    head.norm = torch.nn.Identity()  # type: ignore[assignment]
    with torch.no_grad():
        head.out.weight.zero_()
        head.out.bias.zero_()
        head.out.weight[:, 0] = 1.0
        (logits,) = head(seen, torch.tensor([[1, rows, cols]]))
    assert logits.shape == (rows, cols * STEPS, 3)
    expected = torch.arange(rows * cols).float().view(rows, cols).repeat_interleave(STEPS, 1)
    torch.testing.assert_close(logits[..., 0], expected)


def test_pictures_of_one_shape_together_equal_each_alone() -> None:
    torch.manual_seed(0)
    head = ReadingHead(8, "abc")
    patches = torch.randn(2 * 16 + 8, 8)
    grids = torch.tensor([[1, 4, 4], [1, 4, 4], [1, 2, 4]])
    mixed = head(patches, grids)
    same = head(patches[:32], grids[:2])
    for got, want in zip(mixed, [*same, *head(patches[32:], grids[2:])], strict=True):
        torch.testing.assert_close(got, want)


def test_repetitions_and_blanks_are_taken_out() -> None:
    assert collapse([0, 1, 1, 0, 1, 2, 2, 0]) == [(1, 1), (1, 4), (2, 5)]
    assert collapse([]) == []


def test_loss_equals_the_sum_over_all_paths() -> None:
    torch.manual_seed(1)
    logits = torch.randn(2, 4, 3)
    loss, _ = rows_loss([logits], [[1, 1], [2]])
    expected = 0.0
    for row, target in zip(logits.log_softmax(-1), ([1, 1], [2]), strict=True):
        total = sum(
            float(row[range(4), list(path)].sum().exp())
            for path in itertools.product(range(3), repeat=4)
            if [c for c, _ in collapse(path)] == target
        )
        expected -= float(torch.tensor(total).log())
    assert float(loss) == pytest.approx(expected / 3, rel=1e-5)


def test_rows_that_are_not_known_teach_nothing() -> None:
    logits = torch.randn(2, 4, 3, requires_grad=True)
    loss, right = rows_loss([logits], [None, [2]])
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[0].abs().sum() == 0
    assert logits.grad[1].abs().sum() > 0
    assert right in (0.0, 1.0)


def _row(text: str, first: int, step: int = 3, sure: float = -0.05) -> RowText:
    return RowText(text, tuple(range(first, first + step * len(text), step)), (sure,) * len(text))


def _page(lines: dict[int, str]) -> Image.Image:
    """Black bars where the letters stand: row of patches → text, eight pixels a letter."""
    image = Image.new("RGB", (320, 96), "white")
    draw = ImageDraw.Draw(image)
    for row, text in lines.items():
        for i, ch in enumerate(text):
            if ch != " ":
                draw.rectangle((16 + 8 * i, 16 * row + 3, 21 + 8 * i, 16 * row + 14), fill="black")
    return image


EMPTY = RowText("", (), ())


def test_words_stand_over_their_ink() -> None:
    text = "Total due"
    image = _page({2: text})
    words = words_of([EMPTY, EMPTY, _row(text, 6), EMPTY, EMPTY, EMPTY], 20 * STEPS, image)
    assert [word.text for word in words] == ["Total", "due"]
    total, due = (word.box for word in words)
    assert total.top <= 35 < 47 <= total.bottom
    assert total.height <= 20
    assert abs(total.left - 16) <= 3
    assert abs(total.right - 54) <= 3
    assert abs(due.left - 64) <= 3


def test_a_wide_gap_parts_words_without_a_space() -> None:
    image = _page({2: "ab           cd"})
    row = RowText("abcd", (6, 9, 45, 48), (-0.1,) * 4)
    words = words_of([EMPTY, EMPTY, row, EMPTY, EMPTY, EMPTY], 20 * STEPS, image)
    assert [word.text for word in words] == ["ab", "cd"]


def test_a_line_read_twice_is_one_line_and_the_surer_reading_stays() -> None:
    image = _page({2: "Total"})
    unsure = _row("Tofal", 6, sure=-0.6)
    words = words_of([EMPTY, EMPTY, _row("Total", 6), unsure, EMPTY, EMPTY], 20 * STEPS, image)
    assert [word.text for word in words] == ["Total"]


def test_two_lines_are_two_lines_and_guesses_are_left_out() -> None:
    image = _page({1: "One", 3: "Two"})
    rows = [EMPTY, _row("One", 6), EMPTY, _row("Two", 6), EMPTY, _row("xyz", 6, sure=-3.0)]
    assert [word.text for word in words_of(rows, 20 * STEPS, image)] == ["One", "Two"]
    assert words_of([EMPTY] * 6, 20 * STEPS, image) == []


def test_a_head_is_written_and_read(tmp_path: Path) -> None:
    head = ReadingHead(8, "abc", width=4)
    save_head(head, tmp_path)
    read = load_head(tmp_path, torch.device("cpu"))
    assert read is not None
    assert (read.alphabet, read.merge) == ("abc", 2)
    patches, grid = torch.randn(8, 8), torch.tensor([[1, 2, 4]])
    torch.testing.assert_close(read(patches, grid), head(patches, grid), atol=2e-3, rtol=2e-3)
    assert load_head(tmp_path / "elsewhere", torch.device("cpu")) is None
    (tmp_path / FILE_NAME).write_bytes(b"no tensors")
    with pytest.raises(ModelError, match=FILE_NAME):
        load_head(tmp_path, torch.device("cpu"))


@pytest.fixture
def reader(folders: dict[str, Path], tmp_path: Path) -> HydraModel:
    """A tiny model with a random reading head that is sure of what it says."""
    folder = tmp_path / "model"
    shutil.copytree(folders["qwen3_5"], folder)
    hidden = HydraModel.load(str(folder)).base_model.config.vision_config.hidden_size
    torch.manual_seed(3)
    head = ReadingHead(hidden, ALPHABET)
    with torch.no_grad():
        head.out.weight *= 40
    save_head(head, folder)
    return HydraModel.load(str(folder), cache_dir=tmp_path / "cache")


def test_pages_are_read_on_the_way_to_their_vectors(reader: HydraModel, tmp_path: Path) -> None:
    pages = [noise(96, 64, seed) for seed in range(2)]
    reader.new_adapter(16, random=True)
    assert reader.can_read
    vectors = reader.embed_pages(pages)
    passes = reader.vision.misses
    words = reader.read_pages(pages)
    assert reader.vision.misses == passes, "the tower ran again"
    assert all(words)
    for page in words:
        assert all(w.text and w.box.clip(96, 64) == w.box for w in page)
    again = HydraModel.load(str(reader.folder), cache_dir=tmp_path / "cache")
    again.new_adapter(16, random=True)
    assert again.read_pages(pages) == words, "features kept on disk hold the reading"
    assert again.vision.misses == 0
    (reader.folder / FILE_NAME).unlink()
    silent = HydraModel.load(str(reader.folder))
    silent.new_adapter(16, random=True)
    for one, other in zip(silent.embed_pages(pages), vectors, strict=True):
        assert (one.vectors == other.vectors).all(), "reading changed a vector"


def test_a_model_without_a_head_says_so(one_engine: HydraModel) -> None:
    assert not one_engine.can_read
    with pytest.raises(UnsupportedModelError, match="ocr"):
        one_engine.read_pages([noise(64, 64)])


def test_transcript_keeps_the_likeliest_path() -> None:
    logits = torch.tensor([[[0.0, 5.0, 0.0], [9.0, 0.0, 0.0], [0.0, 0.0, 5.0]]])
    (row,) = Transcript.of(logits).rows("ab")
    assert (row.text, row.steps) == ("ab", (0, 2))
    assert row.logprobs == pytest.approx(logits.log_softmax(-1)[0, [0, 2], [1, 2]].tolist(), abs=1e-3)


def test_large_print_is_parted_where_the_paper_shows() -> None:
    image = Image.new("RGB", (480, 96), "white")
    draw = ImageDraw.Draw(image)
    lefts = [20 + 24 * i + (14 if i >= 3 else 0) for i in range(6)]  # a space after the third letter
    for left in lefts:
        draw.rectangle((left, 34, left + 19, 61), fill="black")
    steps = tuple(int((left + 10) / 480 * 30 * STEPS - 1) for left in lefts)
    rows = [EMPTY, EMPTY, RowText("Onetwo", steps, (-0.1,) * 6), EMPTY, EMPTY, EMPTY]
    assert [word.text for word in words_of(rows, 30 * STEPS, image)] == ["One", "two"]
