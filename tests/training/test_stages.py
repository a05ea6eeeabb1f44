"""The stages that make the built-in model: each is short here, and real."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hydra_rag.errors import UsageError
from hydra_rag.model import HydraModel
from hydra_rag.nano.build import build_model
from hydra_rag.reading import load_head
from hydra_rag.training import nano_stages
from hydra_rag.training.dense import DenseHeads
from hydra_rag.training.language_stage import forward
from hydra_rag.training.nano_retrieval import begin_with_shipped
from hydra_rag.training.packing import pack
from hydra_rag.training.samples import page_sample, read_sample


def test_dense_labels_move_the_tower_beside_the_answers() -> None:
    model, heads = build_model(1), DenseHeads(256, 256)
    batch = pack([read_sample(random.Random(3), 0.1, (32, 256), whole=True)])
    both, stats = forward(model, batch, train_vision=True, heads=heads)
    alone, plain = forward(model, batch, train_vision=True)
    assert "cell" in stats
    assert "cell" not in plain
    assert batch.labels is not None
    with torch.no_grad():
        extra, shares = heads(model.model.visual(batch.patches, batch.grid), batch.labels)
    assert {name: stats[name] for name in shares} == shares
    torch.testing.assert_close(both, alone + extra)
    both.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in heads.parameters())


def test_labels_of_a_batch_follow_its_pictures() -> None:
    rng = random.Random(5)
    with_image = page_sample(rng, (3, 8), size=(15, 20), questions=3, mode="image", wear=0.0)
    text_only = page_sample(rng, (3, 8), size=(15, 20), questions=3, mode="text", wear=0.0)
    batch = pack([text_only, with_image, replace(with_image, branches=with_image.branches[:1])])
    assert batch.patches is not None
    assert batch.labels is not None
    assert len(batch.labels.patches) == len(batch.patches) == 2 * 3 * 8 * 4
    assert len(batch.labels.rows) == 2 * 3 * 2
    assert with_image.block is not None
    labels = torch.from_numpy(with_image.block.cell_labels).long()
    torch.testing.assert_close(batch.labels.cells, torch.cat([labels, labels]))
    assert pack([text_only]).labels is None


def test_a_stage_is_resumed_where_it_stopped_and_the_next_builds_on_it(tmp_path: Path) -> None:
    config = nano_stages.read_config(None)
    log: list[str] = []
    nano_stages.run_stage("vision", tmp_path, config, log.append, minutes=0.01, workers=0, batch=2)
    first = json.loads((tmp_path / "vision" / "progress.json").read_text())
    nano_stages.run_stage("vision", tmp_path, config, log.append, minutes=0.05, workers=0, batch=2)
    second = json.loads((tmp_path / "vision" / "progress.json").read_text())
    assert second["step"] > first["step"] >= 1
    assert second["seconds"] >= 3.0 > first["seconds"]

    mix = {**config, "joint": {**config["joint"], "mix": {"lines": [1.0, 1.0]}}}
    nano_stages.run_stage("joint", tmp_path, mix, log.append, minutes=0.001, workers=0)
    vision = load_file(tmp_path / "vision" / "state.safetensors")
    joint = load_file(tmp_path / "joint" / "state.safetensors")
    heads = [name for name in vision if name.startswith("heads.")]
    assert heads
    for name in heads:  # one step away from those of the vision stage, not new ones
        assert (joint[name] - vision[name]).abs().max() < 0.01
    model = nano_stages.base_weights(tmp_path)
    name = "merger.linear_fc1.weight"
    torch.testing.assert_close(
        dict(model.model.visual.named_parameters())[name].detach(), joint[f"model.model.visual.{name}"]
    )


def test_what_is_exported_reads_with_the_head_of_its_tower(tmp_path: Path) -> None:
    config = nano_stages.read_config(None)
    runs, folder = tmp_path / "runs", tmp_path / "model"
    nano_stages.run_stage("vision", runs, config, [].append, minutes=0.01, workers=0, batch=2)
    nano_stages.export(runs, folder)
    trained = load_file(runs / "vision" / "state.safetensors")
    head = load_head(folder, torch.device("cpu"))
    assert head is not None
    for name, value in head.state_dict().items():
        torch.testing.assert_close(value, trained[f"heads.reader.{name}"].half().float())
    with HydraModel.load(str(folder)) as model:
        assert model.can_read


def test_a_new_adapter_begins_with_the_shipped_one() -> None:
    model = HydraModel.load("nano")
    shipped = model.embed_queries(["What is the total?"])[0].vectors
    assert model.retrieval is not None
    spec, rank = model.retrieval.spec, model.retrieval.peft_model.peft_config["default"].r
    for wide in (rank, rank + 8):
        fresh = model.new_adapter(128, rank=wide, alpha=2 * wide, spec=spec)
        assert begin_with_shipped(fresh)
        torch.testing.assert_close(model.embed_queries(["What is the total?"])[0].vectors, shipped)
    assert not begin_with_shipped(model.new_adapter(128, rank=rank - 8, alpha=16, spec=spec))
    other = model.new_adapter(64, rank=16, alpha=32, spec=spec)
    before = other.projection.weight.detach().clone()
    assert not begin_with_shipped(other)
    torch.testing.assert_close(other.projection.weight.detach(), before)
    model.close()


def test_a_stage_that_does_not_exist_is_named() -> None:
    with pytest.raises(UsageError, match="unknown stage"):
        nano_stages.run_stage("polish", Path("runs"), {}, print)
