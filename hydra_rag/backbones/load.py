"""From a name to loaded base weights. Safetensors only, no remote code, no network for local folders."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from hydra_rag.backbones.profile import Profile, profile_for
from hydra_rag.errors import AdapterError, ModelError, ModelNotFoundError

__all__ = ["load_base", "load_config", "resolve_adapter", "resolve_folder"]

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def resolve_folder(name: str, cache_dir: Path | None = None) -> Path:
    """The folder of a model: ``nano`` (built in), an existing folder, or ``org/name`` from the hub.

    Raises :class:`ModelNotFoundError` with what to do next.
    """
    if name == "nano":
        folder = Path(str(resources.files("hydra_rag.nano"))) / "weights"
        if not (folder / "config.json").is_file():
            raise ModelNotFoundError(
                "this installation has no built-in model; install the released wheel, or train it with "
                "'hydra-rag train nano', or name another model with --model"
            )
        return folder
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ModelNotFoundError(f"{path} is not a model folder (no config.json)")
        return path
    if _HUB_NAME.fullmatch(name) and not name.startswith(("./", "../")):
        return _download(name, cache_dir)
    raise ModelNotFoundError(f"no model called {name!r}: use nano, a folder, or a hub name such as org/model")


def resolve_adapter(name: str, cache_dir: Path | None = None) -> Path:
    """The folder of an adapter: an existing folder, or ``org/name`` from the hub."""
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if _HUB_NAME.fullmatch(name):
        return _download(name, cache_dir)
    raise AdapterError(f"no adapter folder {name!r}; pass a folder or a hub name such as org/adapter")


def _download(name: str, cache_dir: Path | None) -> Path:
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.safetensors", "*.jinja", "*.txt"]
    try:
        return Path(snapshot_download(name, cache_dir=cache_dir, allow_patterns=patterns))
    except Exception as error:  # the hub client raises many kinds, from HTTP to file system
        raise ModelNotFoundError(
            f"could not get {name!r} from the hub ({type(error).__name__}: {error}); "
            "check name and network, or pass a local folder"
        ) from error


def load_config(folder: Path) -> tuple[Any, Profile]:
    """The config of a model folder and its family's profile."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{folder}/config.json can't be used: {error}") from error
    return config, profile_for(config)


def load_base(folder: Path, dtype: torch.dtype, device: torch.device) -> tuple[Any, Profile]:
    """The plain transformers model of a folder, frozen, in eval mode, every key present in the files."""
    import transformers

    config, profile = load_config(folder)
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"{folder} has no *.safetensors file; other weight formats are not loaded")
    quiet: Any = transformers.utils.logging
    bars = quiet.is_progress_bar_enabled()
    quiet.disable_progress_bar()  # one line a model is the caller's business, and stderr may be a log
    try:
        model, info = getattr(transformers, profile.class_name).from_pretrained(
            str(folder),
            config=config,
            dtype=dtype,
            attn_implementation="sdpa",
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"the weights in {folder} can't be loaded: {error}") from error
    finally:
        if bars:
            quiet.enable_progress_bar()
    missing = sorted(info["missing_keys"])
    if missing or info["mismatched_keys"]:
        named = missing or sorted(str(key) for key in info["mismatched_keys"])
        raise ModelError(
            f"{folder} lacks {len(named)} weights (first: {named[0]}), which would be random; "
            "get the whole checkpoint"
        )
    model.requires_grad_(False)
    return model.to(device).eval(), profile
