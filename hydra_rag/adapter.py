"""Retrieval adapters: LoRA weights in peft's format, a projection head, and ``hydra.json``.

A folder holds ``adapter_config.json`` and ``adapter_model.safetensors`` (peft), ``projection.safetensors``
(``weight`` float32 [dim, hidden], optionally ``bias`` [dim]) and ``hydra.json`` (this module's
:class:`AdapterSpec`). Loading is strict: a missing, unknown, wrongly shaped or non-finite tensor is an
:class:`AdapterError`, never a fresh random weight.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from hydra_rag.errors import AdapterError
from hydra_rag.retrieval_prompts import RetrievalPrompts

if TYPE_CHECKING:
    from hydra_rag.embedding import RetrievalView

__all__ = ["LORA_TARGETS", "AdapterSpec", "attach_lora", "read_adapter", "write_adapter"]

FORMAT = 1
#: Every linear layer of the language model; never the vision tower.
LORA_TARGETS = (
    r"language_model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj"
    r"|linear_attn\.(in_proj_(qkv|z|a|b)|out_proj))"
)


@dataclass(frozen=True)
class AdapterSpec:
    """Contents of ``hydra.json``.

    ``base``: facts of the base model that the adapter fits (``model_type``, ``hidden_size``, ``layers``,
    ``vocab_size`` and, when known, ``weights``, the fingerprint of its tensors). ``pooling``: ``"none"``
    (one vector per cell), the only one so far. ``page_tokens``, ``answer_tokens``: budgets of visual
    tokens for an indexed page and for an image shown to the answer view. ``source``: what it was converted
    from. ``nearby``: what a match in one place counts beside MaxSim in searches for words
    (:mod:`hydra_rag.nearby`); it changes no vector. ``reader``: how the answer view likes to be asked, read
    by whoever asks; nor does that.
    """

    dim: int
    base: dict[str, Any] = field(default_factory=dict)
    prompts: RetrievalPrompts = field(default_factory=RetrievalPrompts)
    attention: Literal["causal", "bidirectional"] = "causal"
    pooling: str = "none"
    page_tokens: int = 768
    answer_tokens: int = 1024
    source: str | None = None
    nearby: float = 0.0
    reader: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        data = {"format": FORMAT, **asdict(self)}
        return json.dumps(data, indent=2, ensure_ascii=False, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> AdapterSpec:
        try:
            data = json.loads(text)
            version = data.pop("format", None)
            if version != FORMAT:
                raise AdapterError(
                    f"hydra.json has format {version!r}, this program reads {FORMAT}; update it"
                )
            known = {item.name for item in fields(cls)}
            if unknown := sorted(set(data) - known):
                raise AdapterError(
                    f"hydra.json has unknown fields {unknown}; this adapter needs a newer version"
                )
            data["prompts"] = RetrievalPrompts.from_dict(data.get("prompts", {}))
            spec = cls(**data)
        except (ValueError, TypeError, AttributeError) as error:
            raise AdapterError(
                f"hydra.json can't be read ({error}); copy the adapter folder again"
            ) from error
        if spec.attention not in ("causal", "bidirectional"):
            raise AdapterError(f"unknown attention mode {spec.attention!r} in hydra.json")
        if spec.pooling != "none":
            raise AdapterError(f"unknown pooling {spec.pooling!r} in hydra.json; this program knows 'none'")
        return spec


def base_facts(config: Any) -> dict[str, Any]:
    """What must agree between an adapter and its base model."""
    text = config.text_config
    return {
        "model_type": str(config.model_type),
        "hidden_size": int(text.hidden_size),
        "layers": int(text.num_hidden_layers),
        "vocab_size": int(text.vocab_size),
    }


def check_base(spec: AdapterSpec, facts: Mapping[str, Any]) -> None:
    """Raise :class:`AdapterError` where the adapter was made for another base model."""
    for name, value in facts.items():
        wanted = spec.base.get(name)
        if wanted is not None and wanted != value:
            raise AdapterError(
                f"the adapter was trained for another base model: {name} is {wanted!r} there and "
                f"{value!r} here; load it with the model named on its card, or train one with "
                "'hydra-rag train adapter'"
            )


def attach_lora(tree: Any, config: Any) -> Any:
    """Wrap a headless tree with LoRA layers. Returns the peft model, all of its base weights frozen."""
    from peft import get_peft_model

    config.base_model_name_or_path = None  # peft compares it with a local path; check_base knows better
    with warnings.catch_warnings():  # peft asks transformers for a property that was renamed there
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`", category=FutureWarning)
        return get_peft_model(tree, config, autocast_adapter_dtype=False)


def lora_config(*, rank: int, alpha: int, dropout: float = 0.0, random: bool = False) -> Any:
    """LoRA on :data:`LORA_TARGETS`; ``random`` starts both matrices with noise, not as an identity."""
    from peft import LoraConfig

    return LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=LORA_TARGETS,
        init_lora_weights=False if random else "gaussian",
    )


def write_adapter(folder: Path, view: RetrievalView) -> None:
    """Save in the format of this module. All files are written beside the folder and then moved,
    ``hydra.json`` last: an interrupted save leaves what was there, and a torn copy is refused."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as part:
        _write_files(Path(part), view)
        (folder / "hydra.json").unlink(missing_ok=True)
        for path in sorted(Path(part).iterdir(), key=lambda path: path.name == "hydra.json"):
            path.replace(folder / path.name)


def _write_files(folder: Path, view: RetrievalView) -> None:
    from safetensors.torch import save_file

    view.peft_model.save_pretrained(str(folder), safe_serialization=True)
    (folder / "README.md").unlink(missing_ok=True)  # peft writes an empty template of a model card
    settings = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    settings["base_model_name_or_path"] = view.spec.base.get("name")  # peft writes a path of this machine
    text = json.dumps(settings, indent=2, sort_keys=True) + "\n"
    (folder / "adapter_config.json").write_text(text, encoding="utf-8")
    state = {name: t.detach().float().cpu().contiguous() for name, t in view.projection.state_dict().items()}
    save_file(state, folder / "projection.safetensors")
    (folder / "hydra.json").write_text(view.spec.to_json(), encoding="utf-8")


def read_spec(folder: Path) -> AdapterSpec:
    """``hydra.json`` of an adapter folder."""
    path = folder / "hydra.json"
    if not path.is_file():
        hint = (
            "it looks like a plain peft folder: convert it with hydra_rag.convert.convert_adapter"
            if (folder / "adapter_config.json").is_file()
            else "check the path"
        )
        raise AdapterError(f"{folder} is not an adapter folder (no hydra.json); {hint}")
    return AdapterSpec.from_json(path.read_text(encoding="utf-8"))


def read_adapter(folder: Path, tree: Any, hidden: int) -> tuple[Any, nn.Linear, AdapterSpec]:
    """Attach the LoRA of ``folder`` to ``tree``. Returns (peft model, projection, spec); strict."""
    from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict

    spec = read_spec(folder)
    try:
        config = LoraConfig.from_pretrained(str(folder))
    except Exception as error:
        raise AdapterError(f"{folder}/adapter_config.json can't be read ({error})") from error
    config.inference_mode = True
    state = _tensors(folder / "adapter_model.safetensors")
    try:
        peft_model = attach_lora(tree, config)
    except ValueError as error:
        raise AdapterError(f"the adapter does not fit this model: {error}") from error
    wanted = get_peft_model_state_dict(peft_model)
    _same_keys({n: t.shape for n, t in wanted.items()}, state, "adapter_model.safetensors")
    dtype = next(tree.parameters()).dtype
    set_peft_model_state_dict(peft_model, {n: t.to(dtype) for n, t in state.items()})
    head = _tensors(folder / "projection.safetensors")
    shapes = {"weight": torch.Size((spec.dim, hidden))}
    if "bias" in head:
        shapes["bias"] = torch.Size((spec.dim,))
    _same_keys(shapes, head, "projection.safetensors")
    projection = nn.Linear(hidden, spec.dim, bias="bias" in head)
    projection.load_state_dict({n: t.float() for n, t in head.items()})
    peft_model.requires_grad_(False)
    projection.requires_grad_(False)
    return peft_model.eval(), projection.eval(), spec


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise AdapterError(f"{path} is missing or broken ({error}); copy the adapter folder again") from error


def _same_keys(wanted: Mapping[str, torch.Size], got: Mapping[str, torch.Tensor], name: str) -> None:
    if missing := sorted(set(wanted) - set(got)):
        raise AdapterError(
            f"{name} lacks {len(missing)} tensors (first: {missing[0]}); the adapter is incomplete"
        )
    if foreign := sorted(set(got) - set(wanted)):
        raise AdapterError(
            f"{name} has {len(foreign)} tensors with no place in this model (first: {foreign[0]})"
        )
    for key, tensor in got.items():
        if tensor.shape != wanted[key]:
            raise AdapterError(
                f"{name}: {key} has shape {tuple(tensor.shape)}, expected {tuple(wanted[key])}"
            )
        if not torch.isfinite(tensor).all():
            raise AdapterError(f"{name}: {key} holds values that are not numbers; the adapter is damaged")


def weights_digest(tensors: Mapping[str, torch.Tensor], *, sample: int = 65536) -> str:
    """Hex digest of names, shapes and values; of large tensors an even sample of ``sample`` values.

    Values are taken as bfloat16, so the digest does not depend on the dtype that the weights are used in.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(tensors):
        flat = tensors[name].detach().reshape(-1)
        step = max(1, flat.numel() // sample)
        digest.update(f"{name}{tuple(tensors[name].shape)}".encode())
        digest.update(flat[::step].to(torch.bfloat16).contiguous().view(torch.int16).cpu().numpy().tobytes())
    return digest.hexdigest()
