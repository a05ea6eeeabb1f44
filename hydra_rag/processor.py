"""The processor: PIL image processor and tokenizer of a checkpoint behind the call of the stock ones.

The stock Qwen processors cannot be built without torchvision (their video part needs it). This one makes
the same tensors for text and images without it, and is used everywhere, also where torchvision exists.
It adds a budget of visual tokens per image, and it defuses special tokens inside user text: a question or
a page's text layer can't smuggle in an image placeholder or a change of role.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from hydra_rag.errors import ModelError, UsageError
from hydra_rag.geometry import Grid
from hydra_rag.images import PreparedImage, fit_grid, prepare_image
from hydra_rag.inputs import Prompt

if TYPE_CHECKING:
    from transformers import BatchFeature

__all__ = ["HydraProcessor", "Prompt"]

DEFAULT_ANSWER_TOKENS = 1024


class HydraProcessor:
    """Call it as a transformers processor: ``processor(text=[...], images=[...], return_tensors="pt")``
    or ``processor.apply_chat_template(messages, tokenize=True, return_dict=True, ...)``."""

    def __init__(self, image_processor: Any, tokenizer: Any, config: Any, chat_template: str | None) -> None:
        vision = config.vision_config
        self.image_processor = image_processor
        self.tokenizer = tokenizer
        self.chat_template = chat_template
        self.image_token_id = int(config.image_token_id)
        self.vision_start_id = int(config.vision_start_token_id)
        self.vision_end_id = int(config.vision_end_token_id)
        # The config of the weights wins over the processor's file: a wrong patch size can't load anyway.
        image_processor.patch_size = int(vision.patch_size)
        image_processor.merge_size = int(vision.spatial_merge_size)
        image_processor.temporal_patch_size = int(vision.temporal_patch_size)
        self.cell = int(vision.patch_size) * int(vision.spatial_merge_size)
        size = image_processor.size
        least = size["shortest_edge"] if isinstance(size, Mapping) else size.shortest_edge
        self.min_tokens = max(1, int(least or 1) // self.cell**2)
        self.answer_tokens = DEFAULT_ANSWER_TOKENS
        added = tokenizer.added_tokens_decoder.values()
        self._special = [str(t) for t in added if len(str(t)) > 1 and getattr(t, "special", True)]
        self._lock = threading.Lock()

    @classmethod
    def from_folder(cls, folder: Path, config: Any) -> HydraProcessor:
        """Read tokenizer, image processor settings and chat template of a checkpoint folder."""
        from transformers import AutoTokenizer, PreTrainedTokenizerFast
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

        try:
            declared = json.loads((folder / "tokenizer_config.json").read_text()).get("tokenizer_class")
        except FileNotFoundError:
            declared = None
        # transformers overrides the declared class of some model types and would then rebuild a foreign
        # tokenizer.json as a byte-level one; a plain fast tokenizer is taken as it is written.
        plain = declared in ("PreTrainedTokenizerFast", "TokenizersBackend")
        loader: Any = PreTrainedTokenizerFast if plain else AutoTokenizer
        try:
            tokenizer = loader.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
            images = Qwen2VLImageProcessorPil.from_pretrained(str(folder), local_files_only=True)
        except (OSError, ValueError) as error:
            raise ModelError(
                f"{folder} lacks a usable tokenizer or image processor ({error}); "
                "copy tokenizer.json, tokenizer_config.json and preprocessor_config.json beside the weights"
            ) from error
        template = folder / "chat_template.jinja"
        text = template.read_text(encoding="utf-8") if template.is_file() else tokenizer.chat_template
        legacy = folder / "chat_template.json"
        if text is None and legacy.is_file():
            text = json.loads(legacy.read_text(encoding="utf-8"))["chat_template"]
        return cls(images, tokenizer, config, text)

    # -- images ---------------------------------------------------------------------------------------

    def grid(self, width: int, height: int, *, max_tokens: int | None = None, upscale: bool = False) -> Grid:
        """Merged cells that an image of this size gets within the budget."""
        return fit_grid(
            width,
            height,
            self.cell,
            max_tokens=self.answer_tokens if max_tokens is None else max_tokens,
            min_tokens=self.min_tokens,
            upscale=upscale,
        )

    def image(
        self, image: Image.Image, *, max_tokens: int | None = None, upscale: bool = False
    ) -> PreparedImage:
        """One image, resized and cut into patches."""
        grid = self.grid(*image.size, max_tokens=max_tokens, upscale=upscale)
        return prepare_image(image, self.image_processor, grid, self.cell)

    # -- text -----------------------------------------------------------------------------------------

    def plain(self, text: str) -> str:
        """User text without special tokens (``<|im_end|>`` becomes ``< |im_end|>``) that can be encoded."""
        text = text.encode("utf-8", "replace").decode("utf-8")
        for token in self._special:
            if token in text:
                text = text.replace(token, f"{token[0]} {token[1:]}")
        return text

    def encode(self, text: str) -> list[int]:
        """Token ids of a template text (special tokens are recognised)."""
        with self._lock:  # fast tokenizers keep call settings on themselves
            return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        return str(
            self.tokenizer.decode(
                list(ids), skip_special_tokens=skip_special_tokens, clean_up_tokenization_spaces=False
            )
        )

    def batch_decode(self, sequences: Any, *, skip_special_tokens: bool = True, **_: Any) -> list[str]:
        return [
            self.decode([int(i) for i in ids], skip_special_tokens=skip_special_tokens) for ids in sequences
        ]

    # -- prompts --------------------------------------------------------------------------------------

    def fill(self, ids: Sequence[int], images: Sequence[PreparedImage], text: str = "") -> Prompt:
        """Widen every single image placeholder in ``ids`` to one token per cell, in order."""
        out: list[int] = []
        spans: list[tuple[int, int]] = []
        for token in ids:
            if token != self.image_token_id:
                out.append(token)
                continue
            if len(spans) < len(images):
                start = len(out)
                out.extend([token] * images[len(spans)].tokens)
                spans.append((start, len(out)))
            else:
                spans.append((len(out), len(out)))
        if len(spans) != len(images):
            raise UsageError(f"the prompt has {len(spans)} image placeholders for {len(images)} images")
        return Prompt(tuple(out), tuple(images), tuple(spans), text)

    def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        image_tokens: int | None = None,
        upscale: bool = False,
        **template: Any,
    ) -> Prompt:
        """The prompt of chat ``messages`` (content: text, or blocks of ``{"type": "text", "text": str}`` and
        ``{"type": "image", "image": PIL.Image}``), ready for generation.

        A last message by the assistant is left open, to be continued. ``image_tokens``: budget for each
        image. Other options go to the chat template; thinking is switched off unless asked for.
        """
        plain, images = self._split(messages)
        text = self._render(plain, **template)
        prepared = [self.image(image, max_tokens=image_tokens, upscale=upscale) for image in images]
        return self.fill(self.encode(text), prepared, text)

    def _split(self, messages: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[Image.Image]]:
        plain: list[dict[str, Any]] = []
        images: list[Image.Image] = []
        for message in messages:
            content = message.get("content", "")
            if isinstance(content, str):
                plain.append({**message, "content": self.plain(content)})
                continue
            blocks: list[dict[str, Any]] = []
            for block in content:
                kind = block.get("type") if isinstance(block, Mapping) else None
                if kind == "text":
                    blocks.append({"type": "text", "text": self.plain(str(block["text"]))})
                elif kind == "image" and isinstance(block.get("image"), Image.Image):
                    images.append(block["image"])
                    blocks.append({"type": "image"})
                else:
                    raise UsageError(
                        'a message block must be {"type": "text", "text": str} or '
                        f'{{"type": "image", "image": PIL.Image}}, not {kind!r}'
                    )
            plain.append({**message, "content": blocks})
        if not plain:
            raise UsageError("there are no messages; pass at least one user message")
        return plain, images

    def _render(self, messages: list[dict[str, Any]], **template: Any) -> str:
        if self.chat_template is None:
            raise ModelError("this checkpoint has no chat template; add chat_template.jinja to its folder")
        open_end = messages[-1].get("role") == "assistant"
        template.setdefault("add_generation_prompt", not open_end)
        template.setdefault("continue_final_message", open_end and not template["add_generation_prompt"])
        template.setdefault("enable_thinking", False)
        from jinja2 import TemplateError

        try:
            text = self.tokenizer.apply_chat_template(
                messages, tokenize=False, chat_template=self.chat_template, **template
            )
        except (TemplateError, ValueError) as error:
            raise UsageError(f"the model's chat template refuses these messages: {error}") from error
        return str(text)

    def apply_chat_template(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tokenize: bool = False,
        return_dict: bool = True,
        return_tensors: str | None = "pt",
        **options: Any,
    ) -> Any:
        """As transformers: the rendered text, or with ``tokenize=True`` the tensors of one prompt."""
        if not tokenize:
            return self._render(self._split(messages)[0], **options)
        if return_tensors not in (None, "pt"):
            raise UsageError("only PyTorch tensors are made here; use return_tensors='pt'")
        prompt = self.chat(messages, **options)
        return self._batch([prompt]) if return_dict else prompt.tensors()["input_ids"]

    def __call__(
        self,
        text: str | Sequence[str],
        images: Image.Image | Sequence[Image.Image] | None = None,
        *,
        image_tokens: int | None = None,
        upscale: bool = False,
        return_tensors: str | None = "pt",
        **_: Any,
    ) -> BatchFeature:
        """Tensors of ready-made prompt texts; images are taken in the order of their placeholders.

        Several texts are padded on the left, as generation needs it.
        """
        if return_tensors not in (None, "pt"):
            raise UsageError("only PyTorch tensors are made here; use return_tensors='pt'")
        texts = [text] if isinstance(text, str) else list(text)
        given = [images] if isinstance(images, Image.Image) else list(images or ())
        prepared = [self.image(image, max_tokens=image_tokens, upscale=upscale) for image in given]
        prompts, used = [], 0
        for item in texts:
            ids = self.encode(item)
            wanted = ids.count(self.image_token_id)
            prompts.append(self.fill(ids, prepared[used : used + wanted], item))
            used += wanted
        if used != len(prepared):
            raise UsageError(f"the texts have {used} image placeholders for {len(prepared)} images")
        return self._batch(prompts)

    def _batch(self, prompts: Sequence[Prompt]) -> BatchFeature:
        import torch
        from transformers import BatchFeature

        rows = [prompt.tensors() for prompt in prompts]
        width = max(len(prompt) for prompt in prompts)
        pad = self.tokenizer.pad_token_id
        fills = {"input_ids": 0 if pad is None else int(pad), "attention_mask": 0, "mm_token_type_ids": 0}
        data: dict[str, Any] = {
            name: torch.cat(
                [torch.nn.functional.pad(r[name], (width - r[name].shape[1], 0), value=v) for r in rows]
            )
            for name, v in fills.items()
        }
        for name in ("pixel_values", "image_grid_thw"):
            parts = [row[name] for row in rows if name in row]
            if parts:
                data[name] = torch.cat(parts)
        return BatchFeature(data=data)

    def fingerprint(self) -> str:
        """Hex digest of what turns text and images into tokens and pixels."""
        image = self.image_processor
        facts = {
            "cell": [image.patch_size, image.merge_size, image.temporal_patch_size, self.min_tokens],
            "pixels": [list(image.image_mean), list(image.image_std), int(image.resample)],
            "scale": [bool(image.do_rescale), float(image.rescale_factor), bool(image.do_normalize)],
            "ids": [self.image_token_id, self.vision_start_id, self.vision_end_id],
        }
        digest = hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16)
        digest.update(self.tokenizer.backend_tokenizer.to_str().encode("utf-8"))
        return digest.hexdigest()
