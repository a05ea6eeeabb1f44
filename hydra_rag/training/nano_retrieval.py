"""The last stage of ``nano``: its retrieval adapter, trained on made pages by the general adapter trainer."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra_rag.training.adapter_trainer import AdapterTraining, train_adapter
from hydra_rag.training.documents import MadePage
from hydra_rag.training.feed import feed
from hydra_rag.training.refusals import choose_bias, recognised, try_refusals
from hydra_rag.training.retrieval_data import RetrievalBatch, ask_pages, draw_pages

if TYPE_CHECKING:
    import torch

    from hydra_rag.embedding import RetrievalView
    from hydra_rag.model import HydraModel

PAGE_TOKENS = 1120
ANSWER_TOKENS = 1120
#: What a match in one place counts (:mod:`hydra_rag.nearby`), in training and in searches.
NEARBY = 0.5


def train_nano_retrieval(runs: Path, options: dict[str, Any], log: Callable[[str], None]) -> None:
    """Train on the exported base model; the adapter goes to ``runs/retrieval/adapter``."""
    from hydra_rag.adapter import AdapterSpec
    from hydra_rag.model import HydraModel
    from hydra_rag.retrieval_prompts import RetrievalPrompts
    from hydra_rag.training.nano_stages import export

    seed = int(options.get("seed", 4))
    with tempfile.TemporaryDirectory() as base:
        export(runs, Path(base))
        model = HydraModel.load(base, device=str(options.get("device", "cpu")))
        prompts = RetrievalPrompts(
            page="<|im_start|>{image}", query="{text}", augmentation="<|query|>", augmentation_count=6
        )
        dim, rank = int(options.get("dim", 128)), int(options.get("rank", 16))
        spec = AdapterSpec(
            dim=dim,
            prompts=prompts,
            nearby=NEARBY,
            page_tokens=PAGE_TOKENS,
            answer_tokens=ANSWER_TOKENS,
            reader={"style": "nano", "text_chars": 300},
        )
        out = runs / "retrieval" / "adapter"
        if (out / "hydra.json").is_file():
            model.load_adapter(out)
        else:
            view = model.new_adapter(dim, rank=rank, alpha=2 * rank, seed=seed, spec=spec)
            if begin_with_shipped(view):
                log("retrieval begins with the shipped adapter")
        minutes = float(options.get("minutes", 20))
        config = AdapterTraining(
            minutes=minutes,
            steps=int(options.get("steps", 0)),
            lr=float(options.get("lr", 1e-3)),
            temperature=float(options.get("temperature", 0.02)),
            bf16=bool(options.get("bf16", True)),
            merge=4,
            nearby=NEARBY,
            decay_from=float(options.get("decay_from", 0.4)),
            seed=seed,
        )
        reader, model.vision.head = model.vision.head, None  # nothing here needs the words
        data = made_batches(seed, int(options.get("workers", 1)))
        if train_adapter(model, data, out, config, log).interrupted:
            raise KeyboardInterrupt  # saved; the stage is not done
        model.vision.clear()
        model.vision.head = reader
        _calibrate_refusals(model, int(options.get("refusal_pages", 60)), log)
        model.save_adapter(out)
        model.close()


def begin_with_shipped(view: RetrievalView) -> bool:
    """Give a fresh adapter the values of the one in the package, made for earlier base weights: a better
    beginning than noise. A higher rank keeps its own first values beside them, which change nothing yet.
    ``False``, and nothing changed, where it has another shape."""
    from peft import get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors.torch import load_file

    folder = resources.files("hydra_rag.nano") / "weights" / "adapter"
    if not (folder / "hydra.json").is_file():
        return False
    lora = load_file(str(folder / "adapter_model.safetensors"))
    head = load_file(str(folder / "projection.safetensors"))
    own = get_peft_model_state_dict(view.peft_model)
    if own.keys() != lora.keys() or {n: t.shape for n, t in view.projection.state_dict().items()} != {
        n: t.shape for n, t in head.items()
    }:
        return False
    if not all(_fits(lora[name], tensor) for name, tensor in own.items()):
        return False
    wide = {name: tensor.detach().clone() for name, tensor in own.items()}
    for name, tensor in lora.items():
        wide[name][: tensor.shape[0], : tensor.shape[1]] = tensor
    set_peft_model_state_dict(view.peft_model, wide)
    view.projection.load_state_dict(head)
    return True


def _fits(small: torch.Tensor, large: torch.Tensor) -> bool:
    """Whether they differ in their rank alone, the smaller axis of both, if at all."""
    return max(small.shape) == max(large.shape) and all(
        a <= b for a, b in zip(small.shape, large.shape, strict=True)
    )


def _calibrate_refusals(model: HydraModel, pages: int, log: Callable[[str], None]) -> None:
    """Find the brakes on refusals, with and without a text layer, and keep them in the adapter's settings."""
    view = model.retrieval
    assert view is not None, "an adapter has just been trained"
    brakes = {}
    for name, text in (("refusal_bias", False), ("refusal_bias_text", True)):
        trials = try_refusals(model, pages=pages, seed=99, text=text)
        brakes[name] = choose_bias(trials)
        log(f"refusals {name} {brakes[name]:.2f} recognised {recognised(trials, brakes[name]):.2f}")
    view.spec = replace(view.spec, reader={**view.spec.reader, **brakes})


#: Shapes of training pages: cells (rows, cols), how many in a batch, how often.
_SHAPES = (
    ((8, 10), 24, 2),
    ((8, 12), 24, 3),
    ((12, 12), 18, 4),
    ((20, 14), 12, 5),
    ((28, 20), 6, 4),
    ((40, 28), 3, 2),
)
_QUERIES = 96  # of a batch
_KEPT = 24  # groups of pages that can be asked again


def made_batches(seed: int, workers: int, *, uses: int = 4) -> Iterator[RetrievalBatch]:
    """Small look-alike pages most of the time, larger ones now and then. A group of pages comes back
    ``uses`` times with other queries: the frozen tower has seen it then, and the decoder is quick."""
    kept: list[tuple[tuple[int, int], list[MadePage]]] = []  # of this worker

    def make(index: int) -> RetrievalBatch:
        rng = random.Random(seed * 1_000_003 + index)
        if not kept or rng.random() < 1 / uses:
            cells, pages, _ = rng.choices(_SHAPES, [share for *_, share in _SHAPES])[0]
            kept.append((cells, draw_pages(rng, pages=pages, cells=cells, size=(12, 20))))
            del kept[:-_KEPT]
            chosen = kept[-1]
        else:
            chosen = rng.choice(kept)
        cells, made = chosen
        return ask_pages(rng, made, cells, queries_per_page=_QUERIES // len(made), image_share=0.03)

    return feed(make, workers=workers, ahead=3)
