"""The stages that make ``nano``, in order, each resumable and each starting from the stage before.

``runs/<stage>/`` holds the state of a stage, ``runs/<stage>.log`` its log. :func:`export` writes the result
as
an ordinary checkpoint folder.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra_rag.errors import UsageError

if TYPE_CHECKING:
    from hydra_rag.training.dense import DenseHeads

STAGES = ("vision", "text", "language", "joint", "retrieval")
Log = Callable[[str], None]


def read_config(path: Path | None) -> dict[str, dict[str, Any]]:
    """The TOML configuration: a file, or the one shipped with the package."""
    source = (
        path.read_text()
        if path
        else (resources.files("hydra_rag.training") / "config" / "nano.toml").read_text()
    )
    try:
        config = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            f"{path} is no valid TOML ({error}); start from hydra_rag/training/config/nano.toml"
        ) from error
    if unknown := sorted(set(config) - set(STAGES)):
        raise UsageError(
            f"unknown stages in the configuration: {', '.join(unknown)}; known: {', '.join(STAGES)}"
        )
    return config


def run_stage(stage: str, runs: Path, config: dict[str, dict[str, Any]], log: Log, **overrides: Any) -> None:
    """Run or resume one stage. ``overrides`` replace values of the configuration (``device``, ``minutes``,
    ...).
    """
    options = {**config.get(stage, {}), **{k: v for k, v in overrides.items() if v is not None}}
    if stage == "vision":
        from hydra_rag.training.vision_stage import VisionConfig, train_vision

        model = base_weights(runs, before=stage)
        config_of = VisionConfig(**options)
        train_vision(runs / "vision", config_of, log, model=model, heads=dense_heads(runs, model))
    elif stage in ("text", "language", "joint"):
        from hydra_rag.training.language_stage import LanguageConfig, train_language

        options["train_vision"] = stage == "joint"
        model = base_weights(runs, before=stage)
        heads = dense_heads(runs, model) if stage == "joint" else None
        train_language(runs / stage, LanguageConfig(**options), log, model=model, heads=heads)
    elif stage == "retrieval":
        from hydra_rag.training.nano_retrieval import train_nano_retrieval

        train_nano_retrieval(runs, options, log)
    else:
        raise UsageError(f"unknown stage {stage!r}; stages: {', '.join(STAGES)}")


def dense_heads(runs: Path, model: Any) -> DenseHeads:
    """Those that go with the tower of :func:`base_weights`: of the run's last stage that moved it; else new
    ones, which learn within minutes, with the shipped reading head."""
    import torch
    from safetensors.torch import load_file

    from hydra_rag.reading import load_head
    from hydra_rag.training.dense import DenseHeads

    vision = model.model.visual.config
    heads = DenseHeads(vision.hidden_size, vision.out_hidden_size)
    for stage in ("joint", "vision"):
        if (runs / stage / "progress.json").exists():
            heads.load_state_dict(_part(load_file(runs / stage / "state.safetensors"), "heads."))
            return heads
    if (shipped := load_head(_shipped(), torch.device("cpu"))) is not None:
        heads.reader.load_state_dict(shipped.state_dict())
    return heads


def base_weights(runs: Path, *, before: str | None = None) -> Any:
    """The shipped weights with those of the run's stages before ``before`` (by default all) laid over them,
    so that training can go on anywhere."""
    from safetensors.torch import load_file

    from hydra_rag.nano.build import build_model

    model = build_model()
    shipped = _shipped() / "model.safetensors"
    if shipped.is_file():
        model.load_state_dict({k: v.float() for k, v in load_file(str(shipped)).items()}, strict=False)
    for stage in STAGES[: STAGES.index(before)] if before else STAGES[:4]:
        if not (runs / stage / "progress.json").exists():
            continue
        state = load_file(runs / stage / "state.safetensors")
        if stage == "vision":
            model.model.visual.load_state_dict(_part(state, "visual."))
        else:
            own = _part(state, "model.")
            if stage != "joint":  # a frozen tower: the one of the vision stage may be newer
                own = {k: v for k, v in own.items() if not k.startswith("model.visual.")}
            model.load_state_dict(own, strict=False)
    return model


def _shipped() -> Path:
    return Path(str(resources.files("hydra_rag.nano") / "weights"))


def _part(tensors: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}


def export(runs: Path, folder: Path) -> None:
    """Write a checkpoint folder: 16-bit safetensors, configuration, tokenizer, processor; the adapter if
    trained.
    """
    import shutil

    import torch
    from safetensors.torch import load_file, save_file

    from hydra_rag.nano.build import save_processor
    from hydra_rag.reading import FILE_NAME, save_head

    model = base_weights(runs).to(torch.float16)
    reader = dense_heads(runs, model).reader
    model.config.dtype = torch.float16
    save_processor(folder)
    model.save_pretrained(str(folder))
    save_head(reader, folder)
    for name in ("model.safetensors", FILE_NAME):
        (folder / name).chmod(0o644)
    save_processor(folder)  # last: save_pretrained writes a generation configuration of its own
    adapter = runs / "retrieval" / "adapter"
    if (adapter / "hydra.json").is_file():
        shutil.copytree(adapter, folder / "adapter", dirs_exist_ok=True)
        lora = folder / "adapter" / "adapter_model.safetensors"
        save_file({n: t.half() for n, t in load_file(str(lora)).items()}, lora, {"format": "pt"})
        for path in (folder / "adapter").iterdir():
            path.chmod(0o644)
