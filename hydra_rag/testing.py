"""Tiny random models on disk, one per supported family, for tests of everything that needs a model.

They are real transformers checkpoints (safetensors, tokenizer, chat template, image processor settings),
the same bytes for the same seed, and know nothing: use them for plumbing, not for quality.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["FAMILIES", "tiny_config", "tiny_model"]

FAMILIES: tuple[str, ...] = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_5")
SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _tokenizer() -> Any:
    """Byte-level tokens without merges: any transformers loader reads it to the same ids."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {letter: i for i, letter in enumerate(letters)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(r"\s+|\S+"), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL_TOKENS])
    return tokenizer


def tiny_config(family: str, **changes: Any) -> Any:
    """Configuration of a tiny model of ``family``; ``changes`` go to its text part."""
    import transformers

    patch = 14 if family in ("qwen2_vl", "qwen2_5_vl") else 16
    names = {"qwen2_vl": "Qwen2VL", "qwen2_5_vl": "Qwen2_5_VL", "qwen3_vl": "Qwen3VL", "qwen3_5": "Qwen3_5"}
    text: dict[str, Any] = {
        "vocab_size": 256 + len(SPECIAL_TOKENS) + 1,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        "initializer_range": 0.2,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]},
        "pad_token_id": 256,
        "eos_token_id": 258,
        "bos_token_id": None,
    }
    vision: dict[str, Any] = {
        "depth": 2,
        "num_heads": 2,
        "patch_size": patch,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "initializer_range": 0.2,
    }
    if family == "qwen2_vl":
        vision |= {"embed_dim": 32, "hidden_size": 32, "mlp_ratio": 2}
    elif family == "qwen2_5_vl":
        vision |= {"hidden_size": 32, "out_hidden_size": 32, "intermediate_size": 48, "window_size": 112}
        vision |= {"fullatt_block_indexes": [1]}
    else:
        vision |= {"hidden_size": 32, "out_hidden_size": 32, "intermediate_size": 48}
        vision |= {"num_position_embeddings": 16}
        text |= {"head_dim": 8}
    if family == "qwen3_vl":
        vision |= {"deepstack_visual_indexes": [0, 1]}
        text["rope_parameters"]["mrope_interleaved"] = True
    if family == "qwen3_5":
        text |= {"linear_key_head_dim": 8, "linear_value_head_dim": 8, "head_dim": 16}
        text |= {"linear_num_key_heads": 2, "linear_num_value_heads": 4}
        text["rope_parameters"] |= {"mrope_interleaved": True, "partial_rotary_factor": 0.5}
    text |= changes
    return getattr(transformers, f"{names[family]}Config")(
        text_config=text,
        vision_config=vision,
        image_token_id=261,
        video_token_id=262,
        vision_start_token_id=259,
        vision_end_token_id=260,
        tie_word_embeddings=True,
    )


def tiny_model(
    folder: str | Path, family: str = "qwen3_5", *, seed: int = 0, adapter: bool = True, dim: int = 16
) -> Path:
    """Write a tiny random model to ``folder`` and return the folder.

    ``adapter``: also write a random retrieval adapter to ``folder/adapter``, where loading finds it.
    """
    import torch
    import transformers

    from hydra_rag.backbones import PROFILES

    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    config = tiny_config(family)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = getattr(transformers, PROFILES[family].class_name)(config)
        bars: Any = transformers.utils.logging
        shown = bars.is_progress_bar_enabled()
        bars.disable_progress_bar()
        model.save_pretrained(str(path))
        if shown:
            bars.enable_progress_bar()
    _write_processor(path, config)
    if adapter:
        from hydra_rag.adapter import AdapterSpec
        from hydra_rag.model import HydraModel

        with HydraModel.load(str(path), device="cpu") as engine:
            spec = AdapterSpec(dim=dim, page_tokens=64, answer_tokens=64)
            engine.new_adapter(dim, rank=4, alpha=8, seed=seed, random=True, spec=spec)
            engine.save_adapter(path / "adapter")
    return path


def _write_processor(path: Path, config: Any) -> None:
    _tokenizer().save(str(path / "tokenizer.json"))
    vision = config.vision_config
    cell = vision.patch_size * vision.spatial_merge_size
    files: dict[str, dict[str, Any]] = {
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "clean_up_tokenization_spaces": False,
            "model_max_length": 4096,
        },
        "preprocessor_config.json": {
            "image_processor_type": "Qwen2VLImageProcessor",
            "patch_size": vision.patch_size,
            "temporal_patch_size": vision.temporal_patch_size,
            "merge_size": vision.spatial_merge_size,
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
            "size": {"shortest_edge": 4 * cell * cell, "longest_edge": 1024 * cell * cell},
        },
        "generation_config.json": {"eos_token_id": 258, "pad_token_id": 256},
    }
    for name, content in files.items():
        (path / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    (path / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
