"""Adapters are saved and loaded whole or refused; foreign ones are converted exactly."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from hydra_rag.adapter import AdapterSpec
from hydra_rag.check import check_model
from hydra_rag.convert import COLQWEN_PROMPTS, convert_adapter
from hydra_rag.errors import AdapterError, ModelError, ModelNotFoundError, UnsupportedModelError
from hydra_rag.model import HydraModel
from hydra_rag.retrieval_prompts import RetrievalPrompts
from hydra_rag.testing import tiny_model

from .conftest import noise

PAGE = noise(150, 120)


def test_save_and_load_give_the_same_vectors(
    engine: HydraModel, family: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    engine.save_adapter(tmp_path / "a")
    assert {p.name for p in (tmp_path / "a").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "projection.safetensors",
        "hydra.json",
    }
    assert str(folders[family]) not in (tmp_path / "a" / "adapter_config.json").read_text()
    with HydraModel.load(str(folders[family]), adapter=tmp_path / "a", device="cpu") as other:
        assert other.fingerprint == engine.fingerprint
        assert other.dim == engine.dim == 16
        for mine, theirs in zip(
            engine.embed_queries(["x", PAGE]), other.embed_queries(["x", PAGE]), strict=True
        ):
            assert np.array_equal(mine.vectors, theirs.vectors)


def test_fingerprint_names_everything_that_changes_vectors(folders: dict[str, Path], tmp_path: Path) -> None:
    with HydraModel.load(str(folders["qwen3_vl"]), device="cpu") as model:
        seen = {model.fingerprint}
        assert model.retrieval is not None
        spec = model.retrieval.spec
        for change in (
            {"page_tokens": 32},
            {"attention": "bidirectional"},
            {"prompts": RetrievalPrompts(query="Question: {text}")},
        ):
            model.retrieval.spec = AdapterSpec(**{**spec.__dict__, **change})
            seen.add(model.fingerprint)
        model.retrieval.spec = spec
        parameter = next(p for n, p in model.retrieval.peft_model.named_parameters() if "lora_B" in n)
        parameter[0, 0] += 0.25
        seen.add(model.fingerprint)
        model.retrieval.projection.weight[0, 0] += 0.25
        seen.add(model.fingerprint)
        assert len(seen) == 6
    other = tiny_model(tmp_path / "other", "qwen3_vl", seed=9)
    with HydraModel.load(str(other), device="cpu") as model:
        assert model.fingerprint not in seen


@pytest.fixture
def copy(folders: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(folders["qwen3_5"], tmp_path / "model"))


def _edit(path: Path, change: Any) -> None:
    tensors = dict(load_file(path))
    change(tensors)
    save_file(tensors, path)


DAMAGE: dict[str, Any] = {
    "missing lora": lambda a: _edit(a / "adapter_model.safetensors", lambda t: t.pop(sorted(t)[0])),
    "foreign lora": lambda a: _edit(a / "adapter_model.safetensors", lambda t: t.update(extra=torch.ones(1))),
    "wrong shape": lambda a: _edit(
        a / "adapter_model.safetensors", lambda t: t.update({sorted(t)[0]: torch.ones(1, 1)})
    ),
    "not a number": lambda a: _edit(
        a / "adapter_model.safetensors", lambda t: t[sorted(t)[0]].fill_(float("nan"))
    ),
    "no projection": lambda a: (a / "projection.safetensors").unlink(),
    "empty projection": lambda a: _edit(a / "projection.safetensors", lambda t: t.pop("weight")),
    "torn file": lambda a: (a / "adapter_model.safetensors").write_bytes(b"\x08\x00"),
    "no hydra.json": lambda a: (a / "hydra.json").unlink(),
    "broken hydra.json": lambda a: (a / "hydra.json").write_text("{"),
    "future hydra.json": lambda a: (a / "hydra.json").write_text(json.dumps({"format": 99, "dim": 16})),
    "unknown field": lambda a: (a / "hydra.json").write_text(json.dumps({"format": 1, "dim": 16, "zoom": 2})),
    "no config": lambda a: (a / "adapter_config.json").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_adapters_are_refused(copy: Path, damage: str) -> None:
    DAMAGE[damage](copy / "adapter")
    with pytest.raises(AdapterError):
        HydraModel.load(str(copy), adapter=copy / "adapter", device="cpu")


def test_adapter_of_another_base_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    other = tiny_model(tmp_path / "other", "qwen3_5", seed=5, adapter=False)
    with pytest.raises(AdapterError, match="another base model"):
        HydraModel.load(str(other), adapter=folders["qwen3_5"] / "adapter", device="cpu")


def test_incomplete_base_is_refused(copy: Path) -> None:
    _edit(copy / "model.safetensors", lambda t: t.pop("model.visual.pos_embed.weight"))
    with pytest.raises(ModelError, match="would be random"):
        HydraModel.load(str(copy), device="cpu")


def test_unknown_models_are_named(tmp_path: Path, copy: Path) -> None:
    for name in ("nothing-here", str(tmp_path)):
        with pytest.raises(ModelNotFoundError):
            HydraModel.load(name, device="cpu")
    settings = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(UnsupportedModelError):
        HydraModel.load(str(copy), device="cpu")
    (copy / "config.json").write_text(json.dumps(settings))
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(ModelError, match="safetensors"):
        HydraModel.load(str(copy), device="cpu")


LAYOUTS = {
    "qwen2_vl": "base_model.model.model.layers.",
    "qwen2_5_vl": "base_model.model.language_model.layers.",
    "qwen3_vl": "base_model.model.model.language_model.layers.",
    "qwen3_5": "base_model.model.language_model.layers.",
}


def foreign_adapter(model: HydraModel, folder: Path, layout: str, *, head: str) -> dict[str, torch.Tensor]:
    """The model's adapter as a ColQwen-style folder; ``head``: where its projection is kept."""
    engine_folder = folder.parent / "ours"
    model.save_adapter(engine_folder)
    ours = load_file(engine_folder / "adapter_model.safetensors")
    theirs = {k.replace("base_model.model.language_model.layers.", layout): t for k, t in ours.items()}
    generator = torch.Generator().manual_seed(4)
    weight = torch.randn(24, 32, generator=generator)
    bias = torch.randn(24, generator=generator)
    down, up = torch.randn(4, 32, generator=generator), torch.randn(24, 4, generator=generator)
    folder.mkdir()
    projection = {"weight": weight, "bias": bias}
    if head == "lora":
        theirs["base_model.model.custom_text_proj.lora_A.weight"] = down
        theirs["base_model.model.custom_text_proj.lora_B.weight"] = up
        save_file(
            {f"custom_text_proj.{n}": t for n, t in projection.items()}, folder.parent / "base.safetensors"
        )
        projection = {"weight": weight + 2.0 * (up @ down), "bias": bias}  # alpha 8, rank 4
    else:
        theirs |= {f"base_model.model.custom_text_proj.{n}": t for n, t in projection.items()}
    save_file({k: t.contiguous() for k, t in theirs.items()}, folder / "adapter_model.safetensors")
    settings = json.loads((engine_folder / "adapter_config.json").read_text())
    settings["target_modules"] = "(.*(model).*(down_proj|up_proj|q_proj).*$|.*(custom_text_proj).*$)"
    settings["base_model_name_or_path"] = "vidore/colqwen2-base"
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    return projection


@pytest.mark.parametrize("head", ["whole", "lora"])
def test_foreign_adapters_are_converted(
    engine: HydraModel, family: str, folders: dict[str, Path], tmp_path: Path, head: str
) -> None:
    projection = foreign_adapter(engine, tmp_path / "foreign", LAYOUTS[family], head=head)
    base = tmp_path / "base.safetensors" if head == "lora" else None
    spec = convert_adapter(
        tmp_path / "foreign", folders[family], tmp_path / "mine", projection=base, page_tokens=64
    )
    assert spec.dim == 24
    assert spec.prompts == COLQWEN_PROMPTS
    assert engine.retrieval is not None
    with HydraModel.load(str(folders[family]), adapter=tmp_path / "mine", device="cpu") as converted:
        assert converted.retrieval is not None
        view = converted.retrieval
        torch.testing.assert_close(view.projection.weight, projection["weight"])
        torch.testing.assert_close(view.projection.bias, projection["bias"])
        ids = torch.arange(40, 60)[None]
        with torch.no_grad():
            torch.testing.assert_close(view.hidden_of(ids), engine.retrieval.hidden_of(ids))
        assert converted.embed_pages([PAGE])[0].dim == 24


def test_converter_refuses_what_it_can_not_place(
    folders: dict[str, Path], one_engine: HydraModel, tmp_path: Path
) -> None:
    foreign_adapter(one_engine, tmp_path / "foreign", LAYOUTS["qwen3_5"], head="lora")
    with pytest.raises(AdapterError, match="projection"):
        convert_adapter(tmp_path / "foreign", folders["qwen3_5"], tmp_path / "mine")
    base = tmp_path / "base.safetensors"
    with pytest.raises(AdapterError, match="right base model"):
        convert_adapter(tmp_path / "foreign", folders["qwen2_vl"], tmp_path / "mine", projection=base)
    weights = tmp_path / "foreign" / "adapter_model.safetensors"
    good = weights.read_bytes()
    for key, match in (
        ("base_model.model.visual.blocks.0.attn.qkv.lora_B.weight", "outside the language model"),
        ("base_model.model.something.weight", "neither a LoRA"),
    ):
        weights.write_bytes(good)
        _edit(
            weights,
            lambda t, key=key: t.update({key: torch.ones(4, 4), key.replace("_B", "_A"): torch.ones(4, 4)}),
        )
        with pytest.raises(AdapterError, match=match):
            convert_adapter(tmp_path / "foreign", folders["qwen3_5"], tmp_path / "mine", projection=base)
    weights.write_bytes(good)
    _edit(weights, lambda t: t.pop(next(k for k in sorted(t) if "lora_A" in k and "layers" in k)))
    with pytest.raises(AdapterError, match="incomplete"):
        convert_adapter(tmp_path / "foreign", folders["qwen3_5"], tmp_path / "mine", projection=base)
    assert not (tmp_path / "mine").exists()
    weights.unlink()
    (tmp_path / "foreign" / "adapter_model.bin").write_bytes(b"")
    with pytest.raises(AdapterError, match="pickle"):
        convert_adapter(tmp_path / "foreign", folders["qwen3_5"], tmp_path / "mine")


def test_self_test(engine: HydraModel) -> None:
    checks = check_model(engine)
    assert len(checks) == 9
    assert [c for c in checks if not c["ok"]] == []


def test_self_test_notices_changed_weights(copy: Path) -> None:
    with HydraModel.load(str(copy), device="cpu") as model:
        model.base_model.lm_head.weight[3, 3] += 1.0
        assert [c["name"] for c in check_model(model) if not c["ok"]] == ["weights equal their files"]


def test_self_test_notices_an_untrained_adapter(copy: Path) -> None:
    with HydraModel.load(str(copy), device="cpu") as model:
        model.new_adapter(16, rank=4, alpha=8)
        failed = [c["name"] for c in check_model(model) if not c["ok"]]
        assert failed == ["retrieval vectors differ from the base model's"]
