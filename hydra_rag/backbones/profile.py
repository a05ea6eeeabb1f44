"""What differs between the supported families. Everything else comes from a checkpoint's own config.

A profile knows how a family wants ready-made attention masks and which extra vision features travel with
the image tokens. Cell size, layer kinds and token ids are read from the config, never assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra_rag.errors import UnsupportedModelError

if TYPE_CHECKING:
    import torch

__all__ = ["PROFILES", "Profile", "profile_for"]


@dataclass(frozen=True, slots=True)
class Profile:
    """One supported family.

    ``model_type``: value of ``model_type`` in ``config.json``. ``class_name``: transformers class of the
    answer view. ``mask_mapping``: the text model takes ready masks as a dict by layer kind (else one 4-D
    tensor). ``deep_features``: the vision tower also hands features to early decoder layers.
    """

    model_type: str
    class_name: str
    mask_mapping: bool
    deep_features: bool = False

    def layer_kinds(self, config: Any) -> tuple[str, ...]:
        """Kind of every decoder layer: ``full_attention``, ``linear_attention`` or ``sliding_attention``."""
        text = config.text_config
        kinds = getattr(text, "layer_types", None)
        return tuple(kinds) if kinds else ("full_attention",) * int(text.num_hidden_layers)

    def attention_layers(self, config: Any) -> tuple[int, ...]:
        """Indices of the decoder layers that have attention rows."""
        return tuple(i for i, kind in enumerate(self.layer_kinds(config)) if kind != "linear_attention")

    def two_way_masks(self, config: Any, batch: int, length: int, device: torch.device) -> Any:
        """Masks with which every token sees every token in the full-attention layers.

        Recurrent (linear) layers stay causal, whatever a mask says. Shape of each: bool [batch, 1, length,
        length], true where attention is allowed.
        """
        import torch

        mask = torch.ones(batch, 1, length, length, dtype=torch.bool, device=device)
        if not self.mask_mapping:
            return mask
        return {
            kind: None if kind == "linear_attention" else mask
            for kind in dict.fromkeys((*self.layer_kinds(config), "full_attention"))
        }


PROFILES: dict[str, Profile] = {
    row.model_type: row
    for row in (
        Profile("qwen2_vl", "Qwen2VLForConditionalGeneration", mask_mapping=True),
        Profile("qwen2_5_vl", "Qwen2_5_VLForConditionalGeneration", mask_mapping=True),
        Profile("qwen3_vl", "Qwen3VLForConditionalGeneration", mask_mapping=False, deep_features=True),
        Profile("qwen3_5", "Qwen3_5ForConditionalGeneration", mask_mapping=True),
    )
}


def profile_for(config: Any) -> Profile:
    """The profile of a loaded config. Raises :class:`UnsupportedModelError` for other families."""
    kind = str(getattr(config, "model_type", None))
    if kind not in PROFILES:
        raise UnsupportedModelError(
            f"models of type {kind!r} are not supported; use one of: {', '.join(sorted(PROFILES))}"
        )
    return PROFILES[kind]
