"""`HydraModel`: one set of weights that retrieves, looks and answers.

``views.py``: how module trees share every tensor; ``scheduler.py``: who owns the device. Every method may be
called from any thread.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from hydra_rag import adapter as adapters
from hydra_rag import attention, views
from hydra_rag.backbones import Profile
from hydra_rag.backbones.load import load_base, resolve_adapter, resolve_folder
from hydra_rag.device import as_hydra_error, pick_device, pick_dtype
from hydra_rag.embedding import RetrievalView, embed_steps, page_prompt, pipelined, query_prompt
from hydra_rag.errors import AdapterError
from hydra_rag.fingerprint import model_fingerprint, tower_identity
from hydra_rag.inputs import Prompt
from hydra_rag.page_reader import Reader
from hydra_rag.processor import HydraProcessor
from hydra_rag.reading import load_head
from hydra_rag.retrieval import fresh_view, load_view
from hydra_rag.scheduler import Job, Kind, Scheduler
from hydra_rag.streaming import AnswerStream
from hydra_rag.values import AttentionRows, GenerationResult, MultiVector, QueryItem, Word
from hydra_rag.vision import VisionCache

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["HydraModel"]

Messages = Sequence[Mapping[str, Any]]


class HydraModel:
    """Load with :meth:`load`; the constructor takes parts that are already built.

    ``base_model``: the plain transformers model (the answer view; its weights must not be changed).
    ``retrieval``: the retrieval view, ``None`` without an adapter. ``processor``: see ``processor.py``.
    ``name``: as it was asked for; ``folder``: where its files are, the reading head's too."""

    def __init__(
        self,
        base_model: Any,
        processor: HydraProcessor,
        profile: Profile,
        *,
        name: str,
        folder: Path,
        cache_dir: Path | None = None,
    ) -> None:
        self.base_model = base_model
        self.processor = processor
        self.profile = profile
        self.name = name
        self.folder = folder
        self.retrieval: RetrievalView | None = None
        self.scheduler = Scheduler(convert=as_hydra_error, on_start=lambda: torch.set_grad_enabled(False))
        head = load_head(folder, base_model.device)
        self.vision = VisionCache(tower_identity(base_model, processor, head), folder=cache_dir, head=head)
        self._capture = attention.Capture(base_model, self.vision, self.scheduler.poll)
        views.hook_layers(base_model.model, self.scheduler.poll)
        self._finalizer = weakref.finalize(self, self.scheduler.close)

    @classmethod
    def load(
        cls,
        name_or_path: str = "nano",
        adapter: str | Path | None = None,
        device: str = "auto",
        *,
        dtype: str | None = None,
        cache_dir: Path | None = None,
    ) -> HydraModel:
        """Load a model and, where there is one, its retrieval adapter.

        ``name_or_path``: ``nano``, a folder, or ``org/name`` on the hub. ``adapter``: a folder or hub name;
        by default ``adapter`` beside the weights, if it exists. ``device``: ``auto``, ``cpu``, ``cuda:N``.
        ``dtype``: float32 on the CPU, bfloat16 on CUDA. ``cache_dir``: for hub files and vision features.
        """
        place = pick_device(device)
        folder = resolve_folder(str(name_or_path), cache_dir)
        base, profile = load_base(folder, pick_dtype(dtype, place), place)
        processor = HydraProcessor.from_folder(folder, base.config)
        features = None if cache_dir is None else Path(cache_dir) / "vision"
        model = cls(base, processor, profile, name=str(name_or_path), folder=folder, cache_dir=features)
        if adapter is None and (folder / "adapter" / "hydra.json").is_file():
            model.load_adapter(folder / "adapter")
        elif adapter is not None:
            model.load_adapter(resolve_adapter(str(adapter), cache_dir))
        return model

    @property
    def device(self) -> torch.device:
        return self.base_model.device  # type: ignore[no-any-return]

    @property
    def dim(self) -> int:
        """Length of one retrieval vector. Raises :class:`AdapterError` without an adapter."""
        return self._view().spec.dim

    @property
    def fingerprint(self) -> str:
        """Hex digest of everything that changes retrieval vectors: weights, adapter, prompts, processor,
        attention mode, pooling, page budget. Raises :class:`AdapterError` without an adapter."""
        return model_fingerprint(self.weights_fingerprint, self.processor, self._view())

    @cached_property
    def weights_fingerprint(self) -> str:
        """Hex digest of the base weights (see :func:`hydra_rag.adapter.weights_digest`)."""
        return adapters.weights_digest(dict(self.base_model.named_parameters()))

    def memory(self) -> dict[str, int]:
        """Bytes of tensor storage.

        ``unique_bytes``: all distinct storage of this engine (both views, adapter, projection).
        ``two_models_bytes``: a generator and a retriever (the same class with the adapter) loaded apart.
        ``two_models_headless_bytes``: the same, the retriever without output layer. ``adapter_bytes``: LoRA
        and projection. ``base_bytes``: the plain model.
        """
        parts = [] if self.retrieval is None else [self.retrieval.peft_model, self.retrieval.projection]
        return views.memory_report(self.base_model, parts)

    def load_adapter(self, folder: str | Path) -> None:
        """Attach the adapter of a folder in place of the present one. Strict: see ``adapter.py``."""
        weights = partial(getattr, self, "weights_fingerprint")  # slow: computed only if asked for
        self._attach(load_view(self.base_model, self.profile, Path(folder), weights, self.scheduler.poll))

    def new_adapter(
        self,
        dim: int = 128,
        *,
        rank: int = 32,
        alpha: int = 32,
        dropout: float = 0.0,
        seed: int = 0,
        random: bool = False,
        spec: adapters.AdapterSpec | None = None,
    ) -> RetrievalView:
        """Attach a fresh adapter, to be trained; returns the view.

        LoRA starts as an exact identity (its second matrix is zero) unless ``random`` asks for noise in
        both, as tests do. The projection starts with a seeded normal distribution.
        """
        view = fresh_view(
            self.base_model,
            self.profile,
            self.weights_fingerprint,
            self.scheduler.poll,
            spec=replace(spec or adapters.AdapterSpec(dim=dim), dim=dim),
            rank=rank,
            alpha=alpha,
            dropout=dropout,
            seed=seed,
            random=random,
        )
        self._attach(view)
        return view

    def save_adapter(self, folder: str | Path) -> None:
        """Write the present adapter; :meth:`load_adapter` reads it."""
        adapters.write_adapter(Path(folder), self._view())

    def _attach(self, view: RetrievalView) -> None:
        self.processor.answer_tokens = view.spec.answer_tokens
        self.retrieval = view

    def _view(self) -> RetrievalView:
        if self.retrieval is None:
            raise AdapterError(
                f"model {self.name!r} has no retrieval adapter, so it can't embed; pass one (--adapter, "
                "adapter=) or train one with 'hydra-rag train adapter'"
            )
        return self.retrieval

    def embed_pages(
        self, images: Sequence[Image.Image], *, batch_size: int | None = None, max_tokens: int | None = None
    ) -> list[MultiVector]:
        """One multi-vector per page image: its image tokens, with their boxes in the image's pixels.

        Pages of equal size share a forward pass, at most ``batch_size`` (1 on the CPU, 8 elsewhere); vectors
        do not depend on it beyond rounding. ``max_tokens``: visual tokens per page.
        """
        view = self._view()
        size = batch_size or self._batch_size
        prepare = partial(page_prompt, self.processor, view.spec, max_tokens=max_tokens)
        submit = partial(self._embed, size=size, view=view, boxes=True)
        return pipelined(images, size, prepare, submit)

    def embed_queries(
        self, items: Sequence[QueryItem], *, batch_size: int | None = None, max_tokens: int | None = None
    ) -> list[MultiVector]:
        """One multi-vector per query (text, image, or both), all of its tokens, without boxes."""
        view = self._view()
        prompts = [query_prompt(self.processor, view.spec, item, max_tokens=max_tokens) for item in items]
        found = self._embed(prompts, size=batch_size or self._batch_size, view=view, boxes=False).result()
        near = [view.spec.nearby if isinstance(item, str) else 0.0 for item in items]
        return [replace(query, nearby=n) for query, n in zip(found, near, strict=True)]

    @property
    def can_read(self) -> bool:
        """Whether there is a reading head, for :meth:`read_pages`."""
        return self.vision.head is not None

    def read_pages(
        self,
        images: Sequence[Image.Image],
        *,
        max_tokens: int | None = None,
        close: bool = True,
        lane: Kind = "bulk",
    ) -> list[list[Word]]:
        """The words of page images in reading order, boxes in their pixels; the tower's pass of
        :meth:`embed_pages` is used again. ``close``: read the lines that it found three times
        more (:mod:`hydra_rag.page_reader`), which costs about as much again as embedding. ``lane``:
        ``"chat"`` where somebody waits for an answer. Raises :class:`UnsupportedModelError` without a
        reading head."""
        tower = self._view().tree if lane == "bulk" else self.base_model  # it lets chats in between
        prepare = partial(page_prompt, self.processor, self._view().spec, max_tokens=max_tokens)
        reader = Reader(self.vision, tower, self.processor, partial(self.scheduler.submit, lane))
        return reader.read(images, prepare, close=close)

    @property
    def _batch_size(self) -> int:
        return 1 if self.device.type == "cpu" else 8

    def _embed(
        self, prompts: Sequence[Prompt], *, size: int, view: RetrievalView, boxes: bool
    ) -> Job[list[MultiVector]]:
        steps = partial(embed_steps, view, self.base_model, self.vision, prompts, size, boxes=boxes)
        return self.scheduler.submit("bulk" if boxes else "chat", steps)

    def generate(self, messages: Messages, **options: Any) -> GenerationResult:
        """Answer chat messages; takes what :meth:`stream` takes."""
        stream = self.stream(messages, **options)
        for _ in stream:
            pass
        assert stream.result is not None
        return stream.result

    def stream(
        self,
        messages: Messages,
        *,
        seed: int | None = None,
        image_tokens: int | None = None,
        upscale: bool = False,
        **options: Any,
    ) -> AnswerStream:
        """Answer chat messages (see :meth:`HydraProcessor.chat`) piece by piece; the pieces add up to the
        result's text. Greedy unless ``do_sample=True``.

        ``options``: those of transformers' ``generate`` (default ``max_new_tokens`` 256). ``seed``: draws
        exactly as ``torch.manual_seed(seed)`` followed by the plain model's ``generate``.
        ``image_tokens``: visual tokens per image; ``upscale``: enlarge small images to that budget.
        """
        prompt = self.processor.chat(messages, image_tokens=image_tokens, upscale=upscale)
        return AnswerStream(self, prompt, seed, options)

    def attend(
        self,
        messages: Messages,
        layers: Sequence[int] | None = None,
        rows: str | Sequence[int] = "last",
        *,
        image_tokens: int | None = None,
        upscale: bool = False,
    ) -> AttentionRows:
        """Post-softmax attention of the answer view for chosen prompt positions.

        ``layers``: decoder layers (default: all that have attention rows). ``rows``: ``"last"`` (the
        position that writes the first answer token) or prompt positions. See :class:`AttentionRows`.
        """
        wanted = attention.wanted_layers(self.profile, self.base_model.config, layers)
        prompt = self.processor.chat(messages, image_tokens=image_tokens, upscale=upscale)
        positions = attention.row_positions(rows, len(prompt))
        return self.scheduler.run("chat", partial(self._capture.steps, prompt, wanted, positions))

    def close(self) -> None:
        """Stop the model's thread and cancel what is under way; later requests raise :class:`ModelError`."""
        self._finalizer()
        self.vision.clear()

    def __enter__(self) -> HydraModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
