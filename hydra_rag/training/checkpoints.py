"""Training state on disk: weights, optimiser tensors and progress, as safetensors and JSON; replaced
atomically.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

Progress = dict[str, Any]


def optimiser_tensors(optimisers: list[torch.optim.Optimizer]) -> dict[str, torch.Tensor]:
    out = {}
    for i, optimiser in enumerate(optimisers):
        for index, state in optimiser.state_dict()["state"].items():
            for name, value in state.items():
                out[f"{i}.{index}.{name}"] = torch.as_tensor(value).contiguous().clone()
    return out


def load_optimisers(optimisers: list[torch.optim.Optimizer], tensors: dict[str, torch.Tensor]) -> None:
    for i, optimiser in enumerate(optimisers):
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in tensors.items():
            group, index, name = key.split(".", 2)
            if int(group) == i:
                state.setdefault(int(index), {})[name] = value
        full = optimiser.state_dict()
        full["state"] = state
        optimiser.load_state_dict(full)


def save(
    folder: Path, modules: dict[str, nn.Module], optimisers: list[torch.optim.Optimizer], progress: Progress
) -> None:
    """Write everything beside the old state, then rename; progress goes last."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        f"{name}.{key}": value.detach().clone().contiguous()
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }
    save_file(tensors, folder / "state.tmp")
    save_file(optimiser_tensors(optimisers), folder / "optimiser.tmp")
    (folder / "progress.tmp").write_text(json.dumps(progress, indent=1))
    os.replace(folder / "state.tmp", folder / "state.safetensors")
    os.replace(folder / "optimiser.tmp", folder / "optimiser.safetensors")
    os.replace(folder / "progress.tmp", folder / "progress.json")


def load(
    folder: Path, modules: dict[str, nn.Module], optimisers: list[torch.optim.Optimizer] | None = None
) -> Progress | None:
    """Restore modules (strictly) and optimisers; ``None`` where there is no state yet."""
    if not (folder / "progress.json").exists():
        return None
    tensors = load_file(folder / "state.safetensors")
    for name, module in modules.items():
        own = {k[len(name) + 1 :]: v for k, v in tensors.items() if k.startswith(name + ".")}
        module.load_state_dict(own)
    if optimisers is not None and (folder / "optimiser.safetensors").exists():
        load_optimisers(optimisers, load_file(folder / "optimiser.safetensors"))
    progress: Progress = json.loads((folder / "progress.json").read_text())
    return progress
