"""What captured attention rows cost, beside a plain pass and beside eager attention, in one process.

    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.attention_rows [--model NAME] [--tokens N]

Three trees over the same weights read the same page: SDPA, SDPA with the rows of the last position kept in
every layer, eager attention with all its matrices. Time is CPU time: medians, and the median of the rounds'
ratios, in each of which both are measured, in turns first. Memory is the peak of the process above what
it held before the pass (Linux).
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="nano")
    parser.add_argument("--tokens", type=int, default=1024, help="of the image")
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    print(json.dumps(measure(given.model, given.tokens, given.rounds), indent=1))


def measure(name: str, tokens: int, rounds: int) -> dict[str, float]:
    """Times in CPU seconds, memory in bytes, and the two ratios."""
    import torch

    from hydra_rag.model import HydraModel

    with HydraModel.load(name, device="cpu") as model, torch.inference_mode():
        passes, length = _passes(model, tokens)
        for run in passes.values():
            run()
        times: dict[str, list[float]] = {kind: [] for kind in ("plain", "rows")}
        for number in range(rounds):
            for kind in ("plain", "rows") if number % 2 else ("rows", "plain"):
                began = time.process_time()
                passes[kind]()
                times[kind].append(time.process_time() - began)
        peaks = {kind: _peak(run) for kind, run in passes.items()}
    seconds = {kind: statistics.median(spent) for kind, spent in times.items()}
    rows, eager = (max(0, peaks[kind] - peaks["plain"]) for kind in ("rows", "eager"))
    return {
        "prompt_tokens": length,
        "plain_s": seconds["plain"],
        "rows_s": seconds["rows"],
        "time_ratio": statistics.median(b / a for a, b in zip(times["plain"], times["rows"], strict=True)),
        "rows_extra_bytes": rows,
        "eager_extra_bytes": eager,
        "memory_ratio": rows / max(1, eager),
    }


def _passes(model: Any, tokens: int) -> tuple[dict[str, Callable[[], object]], int]:
    from PIL import Image

    from hydra_rag.attention import capture_rows, capture_tree, wanted_layers
    from hydra_rag.views import share_tree

    page = Image.effect_noise((1190, 1684), 60).convert("RGB")
    question = {"type": "text", "text": "What is the total?"}
    messages = [{"role": "user", "content": [{"type": "image", "image": page}, question]}]
    prompt = model.processor.chat(messages, image_tokens=tokens, upscale=True)
    device = model.base_model.device
    features = model.vision.features(model.base_model, prompt.images, device)
    layers = wanted_layers(model.profile, model.base_model.config, None)
    last = (len(prompt) - 1,)

    def through(tree: Any, **options: Any) -> object:
        from hydra_rag.vision import encoder_outputs

        inputs: dict[str, Any] = prompt.tensors(device, pixels=False)
        kinds, grid = inputs.pop("mm_token_type_ids"), inputs.pop("image_grid_thw")
        inputs.pop("attention_mask")
        places, _ = tree.get_rope_index(inputs["input_ids"], mm_token_type_ids=kinds, image_grid_thw=grid)
        inputs["mm_encoder_outputs"] = encoder_outputs(features)
        return tree(**inputs, position_ids=places, use_cache=False, return_dict=True, **options)

    plain, eager = share_tree(model.base_model), share_tree(model.base_model, attention="eager")
    rows = capture_tree(model.base_model, lambda: None)
    return {
        "plain": lambda: through(plain),
        "rows": lambda: capture_rows(rows, prompt, features, layers, last, device),
        "eager": lambda: through(eager, output_attentions=True),
    }, len(prompt)


def _peak(run: Callable[[], object]) -> int:
    """Bytes of the process at its highest during ``run`` above those before it."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _status("VmRSS")
    kept = run()
    peak = _status("VmHWM") - before
    del kept
    return peak


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main()
