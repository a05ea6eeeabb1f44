"""Make an untrained ``nano``: configuration, weights, tokenizer, image processor, chat template.

The shape is that of Qwen3.5 (``Qwen3_5ForConditionalGeneration``) with full attention in every decoder
layer: at this size the recurrent layers bring no speed on a CPU, and every layer then has attention rows
to look at. One token is one character, so that copying a value from the page is copying its characters.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from hydra_rag.nano.alphabet import ALPHABET, SPECIAL_TOKENS

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import Qwen3_5Config, Qwen3_5ForConditionalGeneration

PATCH = 16
MERGE = 2
CELL = PATCH * MERGE
MEAN = STD = 0.5

# Roles are single tokens: at one token a character, spelling "assistant" would cost a tenth of a turn.
CHAT_TEMPLATE = """{%- for message in messages -%}
{%- if message['role'] == 'assistant' -%}<|assistant|>
{%- elif message['role'] == 'system' -%}<|system|>
{%- else -%}<|im_start|>
{%- endif -%}
{%- if message['content'] is string -%}{{ message['content'] }}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'image' -%}<|vision_start|><|image_pad|><|vision_end|>
{%- elif part['type'] == 'text' -%}{{ part['text'] }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}<|im_end|>
{%- endfor -%}
{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"""


def build_tokenizer() -> Tokenizer:
    """One token a character; characters outside the alphabet fall back to their UTF-8 bytes."""
    from tokenizers import AddedToken, Tokenizer, decoders, models

    names = [*SPECIAL_TOKENS, *ALPHABET, *(f"<0x{b:02X}>" for b in range(256))]
    vocab = {name: i for i, name in enumerate(names)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[], byte_fallback=True))
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL_TOKENS])
    return tokenizer


def build_config() -> Qwen3_5Config:
    from transformers import Qwen3_5Config

    ids = {name: i for i, name in enumerate(SPECIAL_TOKENS)}
    layers = 6
    return Qwen3_5Config(
        text_config={
            "vocab_size": len(SPECIAL_TOKENS) + len(ALPHABET) + 256,
            "hidden_size": 256,
            "intermediate_size": 704,
            "num_hidden_layers": layers,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 64,
            "layer_types": ["full_attention"] * layers,
            "max_position_embeddings": 8192,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "partial_rotary_factor": 0.5,
                "mrope_section": [6, 5, 5],
                "mrope_interleaved": True,
            },
            "pad_token_id": ids["<|endoftext|>"],
            "eos_token_id": ids["<|im_end|>"],
            "bos_token_id": None,
            "tie_word_embeddings": True,
        },
        vision_config={
            "depth": 6,
            "hidden_size": 256,
            "intermediate_size": 768,
            "num_heads": 4,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 1,
            "out_hidden_size": 256,
            "num_position_embeddings": 64,
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )


def build_model(seed: int = 0) -> Qwen3_5ForConditionalGeneration:
    import torch
    from transformers import Qwen3_5ForConditionalGeneration

    torch.manual_seed(seed)
    model = Qwen3_5ForConditionalGeneration(build_config())
    torch.nn.init.zeros_(model.model.visual.pos_embed.weight)  # reading must not depend on the place
    return model


def save_processor(folder: Path) -> None:
    """Write tokenizer, chat template and image processor configuration, as a hub checkpoint has them."""
    folder.mkdir(parents=True, exist_ok=True)
    build_tokenizer().save(str(folder / "tokenizer.json"))
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "clean_up_tokenization_spaces": False,
        "model_max_length": 8192,
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer_config, indent=2) + "\n")
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    image_config = {
        "image_processor_type": "Qwen2VLImageProcessor",
        "patch_size": PATCH,
        "temporal_patch_size": 1,
        "merge_size": MERGE,
        "image_mean": [MEAN] * 3,
        "image_std": [STD] * 3,
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "resample": 3,
        "rescale_factor": 1 / 255,
        "size": {"shortest_edge": CELL * CELL, "longest_edge": 2048 * CELL * CELL},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(image_config, indent=2) + "\n")
    generation = {"do_sample": False, "eos_token_id": 2, "pad_token_id": 0, "max_new_tokens": 128}
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")
