"""Converter for retrieval adapters of the ColPali / ColQwen / Hydra kind into our format.

Those are peft folders whose keys follow the class they were trained with: ``base_model.model.model.layers…``,
``base_model.model.language_model.layers…``, ``base_model.model.model.language_model.layers…`` and so on, and
whose projection (``custom_text_proj``) may sit in the adapter, carry a LoRA of its own, or live only in the
base checkpoint they were trained from. Every key must find its place; nothing is ever left to chance.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch

from hydra_rag.adapter import AdapterSpec, base_facts
from hydra_rag.backbones.load import load_config, resolve_folder
from hydra_rag.errors import AdapterError
from hydra_rag.retrieval_prompts import RetrievalPrompts

__all__ = ["COLQWEN_PROMPTS", "convert_adapter"]

#: What ColQwen-style retrievers are trained with.
COLQWEN_PROMPTS = RetrievalPrompts(
    page="<|im_start|>user\n{image}Describe the image.<|im_end|><|endoftext|>",
    query="Query: {text}",
    augmentation="<|endoftext|>",
    augmentation_count=10,
)
_LAYER = re.compile(r"(?:^|\.)layers\.(\d+)\.(.+)$")
_PROJECTION = re.compile(
    r"(?:^|\.)(custom_text_proj|embedding_proj_layer)(?:\.modules_to_save|\.base_layer)?\.(.+)$"
)
_PART = re.compile(r"^(.*)\.(lora_A|lora_B|lora_magnitude_vector)(?:\.default)?(?:\.weight)?$")


def convert_adapter(
    source: str | Path,
    base: str | Path,
    target: str | Path,
    *,
    projection: str | Path | None = None,
    prompts: RetrievalPrompts = COLQWEN_PROMPTS,
    attention: Literal["causal", "bidirectional"] = "causal",
    page_tokens: int = 768,
    answer_tokens: int = 1024,
) -> AdapterSpec:
    """Write ``source`` (a peft folder) as an adapter folder ``target`` for the model ``base``.

    ``projection``: folder or safetensors file with the projection's weights, when the adapter does not hold
    them whole. ``attention``: how the adapter was trained; its card says so. Raises :class:`AdapterError`
    when a key has no place, a place has no key, or there is no projection.
    """
    folder = Path(source)
    settings, state = _read(folder)
    config, profile = load_config(resolve_folder(str(base)))
    lora: dict[str, dict[str, torch.Tensor]] = {}
    head_lora: dict[str, torch.Tensor] = {}
    head: dict[str, torch.Tensor] = {}
    origin: dict[str, str] = {}
    for key, tensor in state.items():
        place = key.removeprefix("base_model.model.")
        if (found := _PROJECTION.search(place)) and "lora_" not in found[2]:
            head[found[2]] = tensor
            continue
        part = _PART.match(place)
        if part is None:
            raise AdapterError(
                f"{key} is neither a LoRA nor a projection tensor; this adapter can't be converted"
            )
        module, name = part[1], part[2]
        if _PROJECTION.search(f"{module}.weight"):
            head_lora[name] = tensor
            origin["projection"] = module
            continue
        if (layer := _LAYER.search(module)) is None or "visual" in module:
            if name == "lora_B" and not tensor.any():
                continue  # an untrained pair changes nothing
            if name == "lora_A" and not state[key.replace("lora_A", "lora_B")].any():
                continue
            raise AdapterError(
                f"{key} changes a part outside the language model, which both views must share"
            )
        ours = f"language_model.layers.{layer[1]}.{layer[2]}"
        origin[ours] = module
        lora.setdefault(ours, {})[name] = tensor
    if not lora:
        raise AdapterError(f"{folder} holds no LoRA for a language model")
    for name, tensor in _outside(projection).items():
        head.setdefault(name, tensor)
    scale = _Scale(settings)
    weight = _merge_head(folder, head, head_lora, scale, origin.get("projection", "custom_text_proj"))
    facts = base_facts(config)
    if settings.get("base_model_name_or_path"):
        facts["name"] = str(settings["base_model_name_or_path"]).rstrip("/").split("/")[-1]
    spec = AdapterSpec(
        dim=int(weight["weight"].shape[0]),
        base=facts,
        prompts=prompts,
        attention=attention,
        page_tokens=page_tokens,
        answer_tokens=answer_tokens,
        source=folder.name,
    )
    _check_fit(config, profile, lora, weight, facts["hidden_size"])
    _write(Path(target), settings, lora, weight, spec, scale, origin)
    return spec


class _Scale:
    """Rank, alpha and scaling of a module by its name in the source folder."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings
        for name in ("use_dora", "lora_bias", "use_qalora"):
            if settings.get(name):
                raise AdapterError(f"the adapter uses {name}, which is not supported; merge or retrain it")
        if settings.get("peft_type") != "LORA":
            raise AdapterError(f"only LoRA adapters can be converted, not {settings.get('peft_type')!r}")

    def alpha(self, module: str) -> float:
        for pattern, value in (self.settings.get("alpha_pattern") or {}).items():
            if re.match(rf".*\.?({pattern})$", module):
                return float(value)
        return float(self.settings["lora_alpha"])

    def factor(self, module: str, rank: int) -> float:
        return self.alpha(module) / (math.sqrt(rank) if self.settings.get("use_rslora") else rank)


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        settings = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        return settings, dict(load_file(folder / "adapter_model.safetensors"))
    except FileNotFoundError as error:
        hint = (
            " (weights stored as a pickle are never loaded)"
            if (folder / "adapter_model.bin").exists()
            else ""
        )
        raise AdapterError(f"{error.filename or folder} is missing{hint}") from error
    except (OSError, ValueError, SafetensorError) as error:
        raise AdapterError(f"{folder} can't be read ({error}); copy the adapter folder again") from error


def _outside(place: str | Path | None) -> dict[str, torch.Tensor]:
    """``weight`` and ``bias`` of a projection found in a safetensors file, or in those of a folder."""
    from safetensors import safe_open

    if place is None:
        return {}
    path = Path(place)
    found: dict[str, torch.Tensor] = {}
    for file in sorted(path.glob("*.safetensors")) if path.is_dir() else [path]:
        with safe_open(file, framework="pt") as handle:
            names = list(handle.keys())
            for name in names:
                match = _PROJECTION.search(name)
                if match and "lora_" not in match[2]:
                    found[match[2]] = handle.get_tensor(name)
            if not found and set(names) <= {"weight", "bias"}:
                found = {name: handle.get_tensor(name) for name in names}
    if not found:
        raise AdapterError(f"{path} holds no projection (custom_text_proj.weight)")
    return found


def _merge_head(
    folder: Path, head: dict[str, torch.Tensor], lora: dict[str, torch.Tensor], scale: _Scale, module: str
) -> dict[str, torch.Tensor]:
    if "weight" not in head:
        raise AdapterError(
            f"{folder} does not hold the projection's weights; pass projection= (--projection) with the base "
            "checkpoint that the adapter was trained from, which has custom_text_proj.weight"
        )
    if unknown := sorted(set(head) - {"weight", "bias"}):
        raise AdapterError(f"the projection has unknown tensors {unknown}")
    out = {name: tensor.float() for name, tensor in head.items()}
    if lora:
        if set(lora) != {"lora_A", "lora_B"}:
            raise AdapterError(f"the projection's LoRA is incomplete: {sorted(lora)}")
        down, up = lora["lora_A"].float(), lora["lora_B"].float()
        out["weight"] = out["weight"] + scale.factor(module, down.shape[0]) * (up @ down)
    return out


def _check_fit(
    config: Any,
    profile: Any,
    lora: Mapping[str, Mapping[str, torch.Tensor]],
    head: Mapping[str, torch.Tensor],
    hidden: int,
) -> None:
    import transformers

    with torch.device("meta"):
        tree = getattr(transformers, profile.class_name)(config).model
    modules = dict(tree.named_modules())
    for name, parts in lora.items():
        if name not in modules:
            raise AdapterError(f"the model has no layer {name}; is this the right base model?")
        if set(parts) != {"lora_A", "lora_B"}:
            raise AdapterError(f"the adapter is incomplete at {name}: it has only {sorted(parts)}")
        layer = modules[name]
        got = (parts["lora_B"].shape[0], parts["lora_A"].shape[1])
        if got != (layer.out_features, layer.in_features):
            raise AdapterError(
                f"{name} is {layer.out_features} × {layer.in_features} in the model and {got[0]} × {got[1]} "
                "in the adapter; is this the right base model?"
            )
    if head["weight"].shape[1] != hidden:
        raise AdapterError(f"the projection takes {head['weight'].shape[1]} values, the model gives {hidden}")


def _write(
    target: Path,
    settings: Mapping[str, Any],
    lora: Mapping[str, Mapping[str, torch.Tensor]],
    head: Mapping[str, torch.Tensor],
    spec: AdapterSpec,
    scale: _Scale,
    origin: Mapping[str, str],
) -> None:
    from peft import LoraConfig
    from safetensors.torch import save_file

    ranks = {name: int(parts["lora_A"].shape[0]) for name, parts in lora.items()}
    alphas = {name: scale.alpha(origin[name]) for name in lora}
    rank, alpha = int(settings["r"]), float(settings["lora_alpha"])
    config = LoraConfig(
        r=rank,
        lora_alpha=int(alpha) if alpha.is_integer() else alpha,  # type: ignore[arg-type]
        use_rslora=bool(settings.get("use_rslora")),
        target_modules=sorted(lora),
        rank_pattern={f"^{re.escape(n)}": r for n, r in ranks.items() if r != rank},
        alpha_pattern={f"^{re.escape(n)}": a for n, a in alphas.items() if a != alpha},
        inference_mode=True,
        base_model_name_or_path=spec.base.get("name"),
    )
    target.mkdir(parents=True, exist_ok=True)
    (target / "hydra.json").unlink(missing_ok=True)
    config.save_pretrained(str(target))
    tensors = {
        f"base_model.model.{name}.{part}.weight": tensor.contiguous()
        for name, parts in lora.items()
        for part, tensor in parts.items()
    }
    save_file(tensors, target / "adapter_model.safetensors")
    save_file({name: tensor.contiguous() for name, tensor in head.items()}, target / "projection.safetensors")
    (target / "hydra.json").write_text(spec.to_json(), encoding="utf-8")
