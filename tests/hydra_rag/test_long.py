"""The promises of the two views at length: many prompts on the shipped model, and a large model's memory."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from hydra_rag.backbones import PROFILES
from hydra_rag.backbones.load import resolve_folder
from hydra_rag.model import HydraModel
from hydra_rag.processor import HydraProcessor
from hydra_rag.testing import tiny_config

from .conftest import ask, load_plain, noise

PROMPTS = 200


def prompt(number: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Messages and options; every third without an image, every second sampled."""
    drawn = random.Random(number)
    images = [
        noise(drawn.randrange(40, 260), drawn.randrange(40, 200), 1000 + number + 500 * i)
        for i in range(min(number % 3, 2))
    ]
    words = ["total", "due", "page", "What", "is", "the", "number", "4711", "ümlaut", "?"]
    text = " ".join(drawn.choices(words, k=drawn.randrange(1, 12)))
    options: dict[str, Any] = {"max_new_tokens": drawn.randrange(4, 12)}
    if number % 2:
        options |= {"do_sample": True, "temperature": drawn.uniform(0.5, 1.5), "top_p": 0.95}
    return ask(*images, text=text), options


@pytest.mark.slow
def test_200_prompts_equal_the_plain_class_while_pages_are_embedded() -> None:
    folder = resolve_folder("nano", None)
    plain = load_plain("qwen3_5", folder)
    before = {name: tensor.clone() for name, tensor in plain.state_dict().items()}
    stop = threading.Event()
    embedded: list[Any] = []
    with HydraModel.load("nano", device="cpu") as engine:

        def embed() -> None:
            while not stop.is_set():
                embedded.append(engine.embed_pages([noise(300, 420, len(embedded))])[0])

        worker = threading.Thread(target=embed)
        worker.start()
        try:
            got = [
                engine.generate(messages, seed=number, **options).token_ids
                for number, (messages, options) in enumerate(map(prompt, range(PROMPTS)))
            ]
        finally:
            stop.set()
            worker.join()
        assert embedded
        wrong = []
        for number, (messages, options) in enumerate(map(prompt, range(PROMPTS))):
            inputs = engine.processor.apply_chat_template(
                messages, tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt"
            )
            torch.manual_seed(number)
            out = plain.generate(**inputs, **{"do_sample": False, **options})
            if got[number] != tuple(int(i) for i in out[0, inputs["input_ids"].shape[1] :]):
                wrong.append(number)
        assert not wrong
        after = engine.base_model.state_dict()
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.slow
def test_half_a_billion_parameters_are_stored_once(folders: dict[str, Path]) -> None:
    config = tiny_config(
        "qwen3_vl", hidden_size=1024, intermediate_size=4096, num_hidden_layers=30, num_attention_heads=16,
        num_key_value_heads=8, head_dim=64, vocab_size=32_000,
    )  # fmt: skip
    config.vision_config.out_hidden_size = 1024
    with torch.device("meta"):
        base = getattr(transformers, PROFILES["qwen3_vl"].class_name)(config)
    base = base.to_empty(device="cpu").eval().requires_grad_(False)
    base.tie_weights()
    for parameter in base.parameters():
        parameter.zero_()
    count = sum(parameter.numel() for parameter in base.parameters())
    assert count >= 0.5e9
    processor = HydraProcessor.from_folder(folders["qwen3_vl"], config)
    engine = HydraModel(base, processor, PROFILES["qwen3_vl"], name="large", folder=folders["qwen3_vl"])
    with engine:
        view = engine.new_adapter(128, rank=32, alpha=32)
        generator = sum(tensor.nbytes for tensor in (*base.parameters(), *base.buffers()))
        added = [p for n, p in view.peft_model.named_parameters() if "lora_" in n]
        retriever = generator + sum(p.nbytes for p in (*added, *view.projection.parameters()))
        stored = {
            tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
            for module in (base, view.peft_model, view.projection)
            for tensor in (*module.parameters(), *module.buffers())
        }
        ratio = sum(stored.values()) / (generator + retriever)
        assert ratio <= 0.52, ratio
        assert engine.memory()["unique_bytes"] == sum(stored.values())
