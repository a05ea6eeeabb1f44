"""Self-test of a loaded model: that two views over one set of weights change nothing they must not change.

Costs a few short passes and one reading of the weight files; needs no second model in memory.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image, ImageDraw

from hydra_rag import views
from hydra_rag.embedding import page_prompt
from hydra_rag.errors import HydraError
from hydra_rag.retrieval import probe_attention

if TYPE_CHECKING:
    from hydra_rag.model import HydraModel

__all__ = ["check_model"]

Check = dict[str, Any]
NEW_TOKENS = 12


def check_model(model: HydraModel) -> list[Check]:
    """Run every check that applies. Returns ``{"name": str, "ok": bool, "detail": str}`` in a fixed order.

    A model without an adapter is checked as far as it goes. A check that can't run counts as failed.
    """
    checks: list[tuple[str, Callable[[HydraModel], tuple[bool, str]]]] = [
        ("weights equal their files", _files),
        ("answer logits equal the plain model's", _logits),
        ("attention rows sum to one and leave the answer alone", _rows),
    ]
    if model.retrieval is not None:
        checks += [
            ("views share their storage", _storage),
            ("memory is one model and an adapter", _memory),
            ("attention mode is the adapter's", _mode),
            ("retrieval vectors differ from the base model's", _differ),
            ("retrieval vectors do not depend on the batch", _batch),
            ("answers are the same while pages are embedded", _concurrent),
        ]
    out: list[Check] = []
    for name, run in checks:
        try:
            ok, detail = run(model)
        except (HydraError, RuntimeError, OSError, ValueError) as error:
            ok, detail = False, f"{type(error).__name__}: {error}"
        out.append({"name": name, "ok": bool(ok), "detail": detail})
    return out


def sample_page(width: int = 448, height: int = 320, text: str = "Total 1,284.00") -> Image.Image:
    """A small page with something on it."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    draw.text((24, 24), text, fill="black")
    draw.rectangle((24, 64, width - 24, 96), outline="black")
    return image


def _question() -> list[dict[str, Any]]:
    blocks = [{"type": "image", "image": sample_page()}, {"type": "text", "text": "What is the total?"}]
    return [{"role": "user", "content": blocks}]


def _on_device(model: HydraModel, work: Callable[[], Any]) -> Any:
    def steps() -> Generator[None, None, Any]:
        yield
        return work()

    return model.scheduler.run("chat", steps)


def _files(model: HydraModel) -> tuple[bool, str]:
    from safetensors import safe_open

    loaded = dict(model.base_model.state_dict())
    same = 0
    for path in sorted(model.folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as handle:
            for name in handle.keys():  # noqa: SIM118  (not a mapping)
                # Older checkpoints keep the text model at "model." and the vision tower at "visual.".
                names = (name, f"model.{name}", name.replace("model.", "model.language_model.", 1))
                found = next((loaded[n] for n in names if n in loaded), None)
                if found is None:
                    if name.startswith("mtp."):
                        continue  # heads for drafting, which transformers does not load
                    return False, f"{name} of {path.name} has no place in the loaded model"
                if not torch.equal(handle.get_tensor(name).to(found.device, found.dtype), found):
                    return False, f"{name} differs from {path.name}"
                same += 1
    return same > 0, f"{same} tensors are equal bit for bit"


def _logits(model: HydraModel) -> tuple[bool, str]:
    """The engine's answer view against a bare tree of the same class over the same tensors."""
    prompt = model.processor.chat(_question())
    plain = views.share_tree(model.base_model)
    inputs = prompt.tensors(model.device)

    def engine() -> torch.Tensor:
        return model.base_model(**inputs).logits[0, -1]  # type: ignore[no-any-return]

    def bare() -> torch.Tensor:
        hidden = plain(**inputs, use_cache=False).last_hidden_state
        return model.base_model.lm_head(hidden)[0, -1]  # type: ignore[no-any-return]

    first, second = _digest(_on_device(model, engine)), _digest(_on_device(model, bare))
    return first == second, f"{first} and {second}"


def _rows(model: HydraModel) -> tuple[bool, str]:
    before = model.generate(_question(), max_new_tokens=NEW_TOKENS)
    rows = model.attend(_question()).rows
    after = model.generate(_question(), max_new_tokens=NEW_TOKENS)
    off = float((rows.sum(-1) - 1).abs().max())
    return off < 1e-4 and before.token_ids == after.token_ids, f"rows sum to 1 within {off:.1e}"


def _storage(model: HydraModel) -> tuple[bool, str]:
    view = _view(model)
    mine = {t.data_ptr() for t in (*model.base_model.parameters(), *model.base_model.buffers())}
    others = [
        name
        for name, t in (*view.peft_model.named_parameters(), *view.peft_model.named_buffers())
        if "lora_" not in name and t.data_ptr() not in mine
    ]
    return not others, f"{len(mine)} tensors shared" if not others else f"not shared: {others[:3]}"


def _memory(model: HydraModel) -> tuple[bool, str]:
    bytes_ = model.memory()
    ratio = bytes_["unique_bytes"] / bytes_["two_models_bytes"]
    ok = bytes_["unique_bytes"] == bytes_["base_bytes"] + bytes_["adapter_bytes"]
    return ok, f"{bytes_['unique_bytes'] / 1e6:.1f} MB, {ratio:.3f} of two models"


def _mode(model: HydraModel) -> tuple[bool, str]:
    view = _view(model)
    found = _on_device(model, lambda: probe_attention(view))
    return found == view.spec.attention, f"adapter: {view.spec.attention}, outputs: {found}"


def _differ(model: HydraModel) -> tuple[bool, str]:
    view = _view(model)
    prompt = page_prompt(model.processor, view.spec, sample_page())

    def base() -> np.ndarray[Any, Any]:
        hidden = model.base_model.model(**prompt.tensors(model.device), use_cache=False).last_hidden_state[0]
        kept = hidden[torch.tensor(prompt.kept, device=hidden.device)]
        vectors = torch.nn.functional.normalize(view.projection(kept.float()), dim=-1)
        return vectors.cpu().numpy()

    gap = float(np.abs(model.embed_pages([sample_page()])[0].vectors - _on_device(model, base)).max())
    note = "" if gap > 1e-3 else " (the adapter looks untrained)"
    return gap > 1e-3, f"largest difference {gap:.3f}{note}"


def _batch(model: HydraModel) -> tuple[bool, str]:
    pages = [sample_page(text=f"Page {i}") for i in range(3)] + [sample_page(320, 448)]
    together = model.embed_pages(pages, batch_size=4)
    gap = max(
        float(np.abs(model.embed_pages([page])[0].vectors - whole.vectors).max())
        for page, whole in zip(pages, together, strict=True)
    )
    limit = 1e-5 if model.base_model.dtype == torch.float32 else 2e-2
    return gap <= limit, f"largest difference {gap:.1e} (limit {limit:.0e} in {model.base_model.dtype})"


def _concurrent(model: HydraModel) -> tuple[bool, str]:
    alone = model.generate(_question(), max_new_tokens=NEW_TOKENS, do_sample=True, seed=7)
    stop = threading.Event()
    count = 0

    def embed() -> None:
        nonlocal count
        while not stop.is_set():
            model.embed_pages([sample_page(text=f"Page {count}")])
            count += 1

    worker = threading.Thread(target=embed, daemon=True)
    worker.start()
    try:
        busy = [
            model.generate(_question(), max_new_tokens=NEW_TOKENS, do_sample=True, seed=7) for _ in range(3)
        ]
    finally:
        stop.set()
        worker.join()
    same = all(item.token_ids == alone.token_ids for item in busy)
    return same, f"{len(busy)} sampled answers compared, {count} pages embedded meanwhile"


def _view(model: HydraModel) -> Any:
    assert model.retrieval is not None
    return model.retrieval


def _digest(tensor: torch.Tensor) -> str:
    return hashlib.blake2b(tensor.float().cpu().numpy().tobytes(), digest_size=8).hexdigest()
