"""Runs of ``train adapter`` that end early, go on or fall apart, and what a run begins with."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from hydra_rag import HydraModel
from hydra_rag.errors import ModelError, UsageError
from hydra_rag.testing import tiny_model
from hydra_rag.training import adapter_trainer, commands, seen_pages
from hydra_rag.training.adapter_trainer import AdapterTraining, fitting_lr, train_adapter
from hydra_rag.training.first_projection import whitening
from hydra_rag.training.own_data import OwnPages
from hydra_rag.training.retrieval_data import RetrievalBatch
from hydra_rag.training.seen_pages import SeenPages
from hydra_rag_api.cli import run

COLOURS = ("red", "green", "blue", "white", "black")


def write_pages(folder: Path, queries: list[tuple[str, str]], words: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    shown = [{"text": w, "box": [10 * i, 0, 10 * i + 9, 9]} for i, w in enumerate(words.split())]
    rows = [{"image": f"{c}.png", "words": shown, "questions": []} for c in COLOURS]
    for colour in COLOURS:
        Image.new("RGB", (64, 96), colour).save(folder / f"{colour}.png")
    asked = [{"query": q, "image": None, "relevant": [n]} for q, n in queries]
    for name, lines in (("pages", rows), ("queries", asked)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines), encoding="utf-8")
    return folder


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    return write_pages(tmp_path / "pages", [(c, f"{c}.png") for c in COLOURS])


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"), "qwen2_vl", adapter=False)


@pytest.fixture
def command(pages: Path, base: Path, tmp_path: Path) -> list[str]:
    options = ["--model", str(base), "--out", str(tmp_path / "adapter"), "--device", "cpu", "--json"]
    return ["train", "adapter", str(pages), *options, "--minutes", "0", "--batch", "2", "--dim", "8"]


def after(steps: int, data: Iterator[RetrievalBatch]) -> Iterator[RetrievalBatch]:
    yield from itertools.islice(data, steps)
    raise KeyboardInterrupt


def test_an_interrupted_run_keeps_its_steps_and_says_where(
    command: list[str],
    base: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = OwnPages.batches
    monkeypatch.setattr(OwnPages, "batches", lambda self, seed, size: after(3, own(self, seed, size)))
    monkeypatch.setattr(commands, "begin_spread", lambda *_: None)
    assert run([*command, "--steps", "50"]) == 130
    told = " ".join(capfd.readouterr().err.split())
    assert "after 3 steps, saved in" in told
    assert "same command again" in told
    with HydraModel.load(str(base), adapter=tmp_path / "adapter", device="cpu") as trained:
        assert trained.dim == 8
        assert trained.retrieval is not None
        assert any(
            p.abs().max() > 0 for n, p in trained.retrieval.peft_model.named_parameters() if "lora_B" in n
        ), "the steps before the interruption are in it"


def test_the_log_goes_on_with_the_adapter_and_begins_with_a_new_one(
    command: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "adapter.log"

    def points() -> tuple[list[int], list[float]]:
        rows = [line.split() for line in log.read_text().splitlines()]
        return [int(r[2]) for r in rows], [float(r[4]) for r in rows]

    assert run([*command, "--steps", "12"]) == 0
    assert points()[0] == [1, 11, 12], "the first step and the last are told"
    assert run([*command, "--steps", "4"]) == 0
    steps, minutes = points()
    assert steps == [1, 11, 12, 13, 16]
    assert minutes == sorted(minutes)
    (tmp_path / "adapter" / "hydra.json").unlink()
    assert run([*command, "--steps", "2"]) == 0
    assert points()[0] == [1, 2]
    assert "align" not in log.read_text(), "no curve of what these pages don't tell"
    assert run([*command, "--steps", "2", "--rank", "3"]) == 2
    assert "--rank 32" in " ".join(capfd.readouterr().err.split())


def test_only_a_new_adapter_begins_anew_and_its_pages_suit_a_processor(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    monkeypatch.setattr(commands, "begin_spread", lambda *_: begun.append(1))
    assert run([*command, "--steps", "1"]) == 0
    assert begun == [1]
    assert json.loads((tmp_path / "adapter" / "hydra.json").read_text())["page_tokens"] == 256
    assert run([*command, "--steps", "1", "--page-tokens", "64"]) == 0
    assert begun == [1], "what was learned stays"
    assert json.loads((tmp_path / "adapter" / "hydra.json").read_text())["page_tokens"] == 64


def test_a_training_that_falls_apart_leaves_what_was_saved(
    command: list[str], base: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run([*command, "--steps", "2"]) == 0
    saved = (tmp_path / "adapter" / "adapter_model.safetensors").read_bytes()
    assert run([*command, "--steps", "30", "--lr", "1e38"]) == 3
    assert "smaller --lr" in " ".join(capfd.readouterr().err.split())
    assert (tmp_path / "adapter" / "adapter_model.safetensors").read_bytes() == saved
    HydraModel.load(str(base), adapter=tmp_path / "adapter", device="cpu").close()


def test_a_save_that_breaks_off_leaves_the_one_before(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "adapter"
    with HydraModel.load(str(base), device="cpu") as engine:
        engine.new_adapter(8, rank=2, alpha=2)
        engine.save_adapter(out)
        engine.new_adapter(4, rank=2, alpha=2)
        monkeypatch.setattr("safetensors.torch.save_file", _break)
        with pytest.raises(KeyboardInterrupt):
            engine.save_adapter(out)
        monkeypatch.undo()
        engine.load_adapter(out)
        assert engine.dim == 8
    assert [p.name for p in tmp_path.iterdir()] == ["adapter"], "nothing is left beside it"


def _break(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_page_file_is_prepared_once_and_looks_the_same(
    base: Path, pages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    real = seen_pages.open_page

    def tell(page: Path) -> Image.Image:
        opened.append(page)
        return real(page)

    monkeypatch.setattr(seen_pages, "open_page", tell)
    with HydraModel.load(str(base), device="cpu") as engine:
        view = engine.new_adapter(8, rank=2, alpha=2)
        files = [pages / "red.png", pages / "blue.png"]
        seen = SeenPages(engine, view, 64)
        first, again = ([view.forward_hidden([p], [f])[0] for p, f in map(seen.look, files)] for _ in "12")
        first, again = list(first), list(again)
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
        assert opened == files
        assert seen.hits == 2
        assert not torch.equal(first[0], first[1])
        full = SeenPages(engine, view, 64, memory_bytes=0)
        for _ in "12":
            full.look(files[0])
        assert full.hits == 0, "beyond its memory nothing is kept"


def test_a_loaded_adapter_is_trained_in_float32(base: Path, pages: Path, tmp_path: Path) -> None:
    with HydraModel.load(str(base), device="cpu", dtype="bfloat16") as engine:
        engine.new_adapter(8, rank=2, alpha=2)
        engine.save_adapter(tmp_path / "a")
        engine.load_adapter(tmp_path / "a")
        data = OwnPages(pages).batches(0, 2)
        train_adapter(engine, data, tmp_path / "a", AdapterTraining(steps=1, minutes=0), lambda _: None)
        assert engine.retrieval is not None
        assert {p.dtype for p in engine.retrieval.trainable()} == {torch.float32}


def test_whitening_removes_what_all_tokens_share_and_evens_the_rest() -> None:
    random = torch.Generator().manual_seed(1)
    sizes = torch.logspace(0, 1, 12)
    shifts = 50 * torch.randn(2, 12, generator=random)
    kinds = [torch.randn(4000, 12, generator=random) * sizes + shift for shift in shifts]
    even = [states @ whitening(kinds).T for states in kinds]
    assert all(states.mean(0).norm() < 0.01 * states.norm(dim=1).mean() for states in even)
    values = torch.linalg.eigvalsh(torch.cat(even).T.cov())
    assert values[:2].max() < 1e-4, "the two shared directions are gone"
    assert values[-1] / values[2] < 4, "between the others it was a hundred"


def test_the_command_begins_with_a_projection_that_tells_pages_apart(base: Path, pages: Path) -> None:
    def likeness(engine: HydraModel) -> float:
        found = engine.embed_pages([Image.open(p).convert("RGB") for p in sorted(pages.glob("*.png"))])
        vectors = torch.cat([torch.from_numpy(page.vectors) for page in found])
        return float(vectors.mean(0).norm())

    with HydraModel.load(str(base), device="cpu") as engine:
        engine.new_adapter(16, rank=2, alpha=2)
        before = likeness(engine)
        commands.begin_spread(engine, OwnPages(pages), 0)
        assert likeness(engine) < 0.5 * before


def test_every_page_comes_once_a_round(pages: Path) -> None:
    data = OwnPages(pages).batches(3, 2)
    seen = [path for batch in itertools.islice(data, 5) for path in batch.pages]
    assert all(seen.count(pages / f"{c}.png") == 2 for c in COLOURS)
    assert len(next(OwnPages(pages).batches(3, 99)).pages) == 5


def test_a_phrase_is_relevant_to_every_page_that_says_it(tmp_path: Path) -> None:
    folder = write_pages(tmp_path / "same", [], words="Total due")
    batch = next(OwnPages(folder).batches(0, 3))
    assert batch.relevant == [[0, 1, 2]] * 3


def test_a_query_for_a_page_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    folder = write_pages(tmp_path / "typo", [("red", "red.png"), ("blue", "bleu.png")])
    with pytest.raises(UsageError, match=r"query 2 .*bleu\.png"):
        OwnPages(folder)


def test_narrow_models_take_larger_steps() -> None:
    assert fitting_lr(2048) == pytest.approx(5e-4)
    assert fitting_lr(4096) < fitting_lr(2048) < fitting_lr(512) <= fitting_lr(32) == 2e-3


def test_a_loss_that_is_no_number_names_the_step(
    base: Path, pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = torch.tensor(float("nan"), requires_grad=True)
    monkeypatch.setattr(adapter_trainer, "_loss", lambda *_: (nothing, 0.0, nothing))
    with HydraModel.load(str(base), device="cpu") as engine:
        engine.new_adapter(8, rank=2, alpha=2)
        data = OwnPages(pages).batches(0, 2)
        with pytest.raises(ModelError, match="step 1 "):
            train_adapter(engine, data, tmp_path / "a", AdapterTraining(steps=3, minutes=0), lambda _: None)
    assert not (tmp_path / "a").exists()
