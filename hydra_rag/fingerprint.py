"""Hex digests that name a model's behaviour: what may share an index, what may share vision features."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from hydra_rag.adapter import weights_digest

if TYPE_CHECKING:
    from hydra_rag.embedding import RetrievalView
    from hydra_rag.processor import HydraProcessor
    from hydra_rag.reading import ReadingHead

__all__ = ["model_fingerprint", "tower_identity"]


def model_fingerprint(weights: str, processor: HydraProcessor, view: RetrievalView) -> str:
    """Everything that changes retrieval vectors, except the dtype and device of the computation (an index
    made on a GPU may be searched on a CPU)."""
    spec = view.spec
    lora = {n: p for n, p in view.peft_model.named_parameters() if "lora_" in n}
    config = view.peft_model.peft_config["default"]
    scaling = [
        config.r,
        config.lora_alpha,
        bool(config.use_rslora),
        config.rank_pattern,
        config.alpha_pattern,
    ]
    facts: dict[str, Any] = {
        "weights": weights,
        "processor": processor.fingerprint(),
        "lora": weights_digest(lora, sample=1 << 62),
        "scaling": scaling,
        "projection": weights_digest(view.projection.state_dict(), sample=1 << 62),
        "prompts": spec.prompts.as_dict(),
        "attention": spec.attention,
        "pooling": spec.pooling,
        "page_tokens": spec.page_tokens,
    }
    return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16).hexdigest()


def tower_identity(base_model: Any, processor: HydraProcessor, head: ReadingHead | None = None) -> str:
    """Names vision tower, its dtype, the image settings and the reading head: features of one identity may
    be shared."""
    tower = dict(base_model.model.visual.named_parameters())
    digest = hashlib.blake2b(weights_digest(tower).encode(), digest_size=16)
    if head is not None:
        digest.update(weights_digest(dict(head.named_parameters())).encode())
    digest.update(f"{base_model.dtype}{base_model.device.type}{processor.fingerprint()}".encode())
    return digest.hexdigest()
