"""The retrieval view: pages and queries to multi-vectors.

Items of one forward pass always have the same length and the same image grids, so nothing is ever padded:
there is no padding that could leak, neither through a mask nor through a recurrent layer's state, and a
vector does not depend on what else was in its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from hydra_rag.adapter import AdapterSpec
from hydra_rag.backbones import Profile
from hydra_rag.errors import UsageError
from hydra_rag.heap import give_back
from hydra_rag.inputs import Prompt
from hydra_rag.processor import HydraProcessor
from hydra_rag.scheduler import in_turn
from hydra_rag.values import MultiVector, QueryItem
from hydra_rag.vision import ImageFeatures, encoder_outputs

if TYPE_CHECKING:
    from hydra_rag.scheduler import Job
    from hydra_rag.vision import VisionCache

__all__ = ["RetrievalView", "embed_steps", "page_prompt", "pipelined", "query_prompt"]


#: After so many chunks of pages free memory goes back to the system.
_CHUNKS = 4


class RetrievalView:
    """The model's second tree with the retrieval LoRA and its projection head.

    ``peft_model``: the tree wrapped by peft; its LoRA weights are the only tensors of its own.
    ``projection``: float32 linear layer, hidden → dim. ``spec``: the adapter's ``hydra.json``.

    For training: make its weights trainable with :meth:`trainable`, build prompts with
    :func:`page_prompt` and :func:`query_prompt`, get the images' features from the model's vision cache,
    and call :meth:`forward_hidden`; gradients then reach LoRA and projection and nothing else.
    """

    def __init__(
        self, peft_model: Any, projection: nn.Linear, spec: AdapterSpec, profile: Profile, config: Any
    ) -> None:
        self.peft_model = peft_model
        self.projection = projection
        self.spec = spec
        self.profile = profile
        self._config = config

    @property
    def tree(self) -> Any:
        """The headless transformers model under the LoRA."""
        return self.peft_model.get_base_model()

    @property
    def device(self) -> torch.device:
        return self.projection.weight.device

    def trainable(self, on: bool = True) -> list[nn.Parameter]:
        """Switch gradients of LoRA and projection on or off; returns those parameters."""
        mine = [p for n, p in self.peft_model.named_parameters() if "lora_" in n]
        mine += list(self.projection.parameters())
        for parameter in mine:
            parameter.requires_grad_(on)
        return mine

    def hidden(self, prompts: Sequence[Prompt], features: Sequence[Sequence[ImageFeatures]]) -> torch.Tensor:
        """Last hidden states [prompts, tokens, hidden] of prompts of one length.

        ``features``: for every prompt the features of its images.
        """
        if len({(len(p), p.spans) for p in prompts}) != 1:
            raise UsageError("prompts of one forward pass must have the same length and image places")
        rows = [prompt.tensors(self.device, pixels=False) for prompt in prompts]
        ids = torch.cat([row["input_ids"] for row in rows])
        grids = [row["image_grid_thw"] for row in rows if "image_grid_thw" in row]
        if not grids:
            return self.hidden_of(ids)
        kinds = torch.cat([row["mm_token_type_ids"] for row in rows])
        positions, _ = self.tree.get_rope_index(ids, mm_token_type_ids=kinds, image_grid_thw=torch.cat(grids))
        outputs = encoder_outputs([item for row in features for item in row])
        return self.hidden_of(ids, positions, mm_encoder_outputs=outputs)

    def hidden_of(
        self, ids: torch.Tensor, positions: torch.Tensor | None = None, **options: Any
    ) -> torch.Tensor:
        """Last hidden states of token ids int64 [batch, tokens]; ``positions`` int64 [3, batch, tokens].

        Positions are always passed on: left out, the model would take an offset that some earlier request
        left on the module.
        """
        if positions is None:  # text alone: all three position axes count tokens
            positions = torch.arange(ids.shape[1], device=ids.device).expand(3, ids.shape[0], -1)
        if self.spec.attention == "bidirectional":
            options["attention_mask"] = self.profile.two_way_masks(
                self._config, ids.shape[0], ids.shape[1], ids.device
            )
        out = self.tree(input_ids=ids, position_ids=positions, use_cache=False, return_dict=True, **options)
        return out.last_hidden_state  # type: ignore[no-any-return]

    def forward_hidden(
        self, prompts: Sequence[Prompt], features: Sequence[Sequence[ImageFeatures]]
    ) -> list[torch.Tensor]:
        """Multi-vectors as tensors: float32 [kept tokens, dim], L2-normalised, one per prompt.

        Kept are the image tokens of a page; all tokens of a text query; of a query with an image its image
        tokens and the tokens of its query template.
        """
        hidden = self.hidden(prompts, features)
        out = []
        for row, prompt in zip(hidden, prompts, strict=True):
            kept = row if prompt.kept is None else row[torch.tensor(prompt.kept, device=row.device)]
            vectors = self.projection(kept.float())
            out.append(torch.nn.functional.normalize(vectors, dim=-1))
        return out


def page_prompt(
    processor: HydraProcessor,
    spec: AdapterSpec,
    image: Image.Image,
    *,
    max_tokens: int | None = None,
    upscale: bool = False,
) -> Prompt:
    """The prompt of a page: the page template around its image tokens."""
    before, after = spec.prompts.page.split("{image}")
    ids = [*processor.encode(before), processor.vision_start_id, processor.image_token_id]
    ids += [processor.vision_end_id, *processor.encode(after)]
    budget = spec.page_tokens if max_tokens is None else max_tokens
    prompt = processor.fill(ids, [processor.image(image, max_tokens=budget, upscale=upscale)])
    return replace(prompt, kept=tuple(range(*prompt.spans[0])))


def query_prompt(
    processor: HydraProcessor, spec: AdapterSpec, item: QueryItem, *, max_tokens: int | None = None
) -> Prompt:
    """The prompt of a query: text, an image, or both. An image alone is embedded as a page is."""
    text, image = _query_parts(item)
    if image is not None and text is None:
        return page_prompt(processor, spec, image, max_tokens=max_tokens)
    prompts = spec.prompts
    ids = processor.encode(prompts.query.replace("{text}", processor.plain(text or "")))
    extra = processor.encode(prompts.augmentation) if prompts.augmentation else []
    ids += extra * prompts.augmentation_count
    if not ids:  # an empty text and nothing around it still has one vector
        pad = processor.tokenizer.pad_token_id
        ids = [0 if pad is None else int(pad)]
    if image is None:
        return processor.fill(ids, [])
    page = page_prompt(processor, spec, image, max_tokens=max_tokens)
    assert page.kept is not None
    kept = (*page.kept, *range(len(page), len(page) + len(ids)))
    return replace(page, token_ids=(*page.token_ids, *ids), kept=kept)


def _query_parts(item: QueryItem) -> tuple[str | None, Image.Image | None]:
    if isinstance(item, str):
        return item, None
    if isinstance(item, Image.Image):
        return None, item
    if isinstance(item, dict):
        text, image = item.get("text"), item.get("image")
        if (text is None or isinstance(text, str)) and (image is None or isinstance(image, Image.Image)):
            return ("" if text is None and image is None else text), image
    raise UsageError('a query is a str, a PIL image, or {"text": str, "image": PIL image}')


def batches(prompts: Sequence[Prompt], size: int) -> Iterable[list[int]]:
    """Indices of prompts grouped by equal shape, at most ``size`` together, in order of appearance."""
    groups: dict[object, list[int]] = {}
    for index, prompt in enumerate(prompts):
        groups.setdefault((len(prompt), prompt.spans, prompt.grids), []).append(index)
    for members in groups.values():
        for start in range(0, len(members), max(1, size)):
            yield members[start : start + max(1, size)]


def embed_steps(
    view: RetrievalView, answer: Any, cache: VisionCache, prompts: Sequence[Prompt], size: int, *, boxes: bool
) -> Generator[None, None, list[MultiVector]]:
    """The slices of one embedding request: vision towers image by image, then one slice a batch.

    Pages (``boxes``) go through this view's own tower, which lets chats in between; the bits are the same.
    """
    out: list[MultiVector | None] = [None] * len(prompts)
    tower = view.tree if boxes else answer
    for members in batches(prompts, size):
        features = []
        for index in members:
            features.append(
                [cache.features(tower, [image], view.device)[0] for image in prompts[index].images]
            )
            yield
        vectors = view.forward_hidden([prompts[i] for i in members], features)
        for index, tensor in zip(members, vectors, strict=True):
            out[index] = _multi_vector(tensor, prompts[index], boxes=boxes)
        yield
    return [item for item in out if item is not None]


def pipelined(
    images: Sequence[Image.Image],
    chunk: int,
    prepare: Callable[[Image.Image], Prompt],
    submit: Callable[[Sequence[Prompt]], Job[list[MultiVector]]],
) -> list[MultiVector]:
    """Embed many images: the next ``chunk`` is cut into patches while the device works on the last one,
    and no more than two chunks of pixels exist at a time. An error or interrupt cancels what is queued."""
    starts = range(0, len(images), chunk)
    jobs = ((start, submit([prepare(image) for image in images[start : start + chunk]])) for start in starts)
    out: list[MultiVector] = []
    for number, (_, pages) in enumerate(in_turn(jobs), start=1):
        out += pages
        if not number % _CHUNKS:
            give_back()
    give_back()
    return out


def _multi_vector(vectors: torch.Tensor, prompt: Prompt, *, boxes: bool) -> MultiVector:
    array = np.ascontiguousarray(vectors.detach().float().cpu().numpy())
    if not boxes:
        return MultiVector(array)
    image = prompt.images[0]
    return MultiVector(array, np.asarray(image.grid.boxes(*image.size), dtype=np.int64), image.grid)
