"""Vision features: computed once per image, kept within a memory bound, used by every view.

The retrieval LoRA never touches the vision tower, so its output is the same in all views.

An image's features depend, in the last bits, on what else was in the same matrix product. Answers must
equal the plain model bit for bit, so images that a prompt shows together are computed together, as the
plain model does, and kept under all of their keys; a single image (every page that is indexed, every
single-page question) has one entry that all views share.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hydra_rag.images import PreparedImage
from hydra_rag.reading import ReadingHead, Transcript

__all__ = ["ImageFeatures", "VisionCache"]


@dataclass(frozen=True, slots=True)
class ImageFeatures:
    """``pooled``: [cells, hidden]; ``deep``: the same shape for each early layer that takes some;
    ``transcript``: what the reading head made of it, where the model has one."""

    pooled: torch.Tensor
    deep: tuple[torch.Tensor, ...] = ()
    transcript: Transcript | None = None

    @property
    def nbytes(self) -> int:
        read = 0 if self.transcript is None else self.transcript.nbytes
        return self.pooled.nbytes + sum(t.nbytes for t in self.deep) + read


class VisionCache:
    """Least-recently-used features in memory, bounded by bytes, and optionally on disk.

    ``identity`` names tower and processor; files of another identity are never read. ``head``: the reading
    head that reads every image on the way. ``hits`` and
    ``misses`` count images, for tests and statistics. Thread-safe; computing happens in the caller.
    """

    def __init__(
        self,
        identity: str,
        *,
        memory_bytes: int = 256 << 20,
        folder: Path | None = None,
        disk_bytes: int = 2 << 30,
        head: ReadingHead | None = None,
    ) -> None:
        self._identity = identity
        self.head = head
        self._limit = memory_bytes
        self._disk = None if folder is None else _Disk(folder, identity, disk_bytes)
        self._items: OrderedDict[tuple[str, ...], tuple[ImageFeatures, ...]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self.hits = 0
        self.misses = 0

    @property
    def nbytes(self) -> int:
        return self._bytes

    def clear(self) -> None:
        with self._lock:
            self._items.clear()
            self._bytes = 0

    def features(
        self, model: Any, images: Sequence[PreparedImage], device: torch.device
    ) -> tuple[ImageFeatures, ...]:
        """Features of images shown together, from the cache or from ``model.get_image_features``."""
        key = tuple(image.key for image in images)
        with self._lock:
            found = self._items.get(key)
            if found is not None:
                self._items.move_to_end(key)
                self.hits += len(images)
                return found
        if self._disk is not None and len(key) == 1 and (stored := self._stored(key[0])) is not None:
            deep = tuple(t.to(device) for t in stored.deep)
            pooled = stored.pooled.to(device)
            value: tuple[ImageFeatures, ...] = (ImageFeatures(pooled, deep, stored.transcript),)
            self.hits += 1
        else:
            value = compute(model, images, device, self.head)
            self.misses += len(images)
            if self._disk is not None and len(key) == 1:
                self._disk.write(key[0], value[0])
        self._keep(key, value)
        return value

    def _stored(self, key: str) -> ImageFeatures | None:
        """From the disk, unless it was written before there was a reading head."""
        assert self._disk is not None
        found = self._disk.read(key)
        return None if found is not None and self.head is not None and found.transcript is None else found

    def _keep(self, key: tuple[str, ...], value: tuple[ImageFeatures, ...]) -> None:
        size = sum(item.nbytes for item in value)
        if size > self._limit:
            return
        with self._lock:
            if key in self._items:
                return
            self._items[key] = value
            self._bytes += size
            while self._bytes > self._limit:
                _, old = self._items.popitem(last=False)
                self._bytes -= sum(item.nbytes for item in old)


def compute(
    model: Any, images: Sequence[PreparedImage], device: torch.device, head: ReadingHead | None = None
) -> tuple[ImageFeatures, ...]:
    """Run the vision tower over images, together, as the plain class does for one prompt."""
    pixels = torch.cat([image.pixels for image in images]).to(device)
    grids = torch.tensor([image.grid_thw for image in images], dtype=torch.long, device=device)
    with torch.no_grad():
        out = model.get_image_features(pixels, grids, return_dict=True)
        read: list[Transcript | None] = [None] * len(images)
        if head is not None:
            read = [Transcript.of(logits) for logits in head(out.last_hidden_state.float(), grids)]
    deep = getattr(out, "deepstack_features", None) or []
    return tuple(
        ImageFeatures(pooled.detach(), tuple(layer[i].detach() for layer in deep), read[i])
        for i, pooled in enumerate(out.pooler_output)
    )


class _Output(dict[str, Any]):
    """Stands for the tower's output object: what the models read of it is ``pooler_output`` and, in one
    family, ``deepstack_features``."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def encoder_outputs(features: Sequence[ImageFeatures]) -> dict[str, Any]:
    """The ``mm_encoder_outputs`` argument of a forward pass that shows these images in this order."""
    out = _Output(pooler_output=tuple(item.pooled for item in features))
    if features and features[0].deep:
        out["deepstack_features"] = [
            tuple(item.deep[layer] for item in features) for layer in range(len(features[0].deep))
        ]
    return {"image": out}


class _Disk:
    """Bounded folder of safetensors files, one per image; a broken file is a miss.

    Its files are not all looked at for every new one: a sixteenth of the bound may come on top.
    """

    def __init__(self, folder: Path, identity: str, limit: int) -> None:
        self._folder = folder / identity
        self._limit = limit
        self._room = 0

    def read(self, key: str) -> ImageFeatures | None:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path = self._folder / f"{key}.safetensors"
        try:
            tensors = load_file(path)
            path.touch()
        except (OSError, SafetensorError):
            return None
        deep = tuple(tensors[f"deep.{i}"] for i in range(sum(name.startswith("deep.") for name in tensors)))
        classes, logprobs = tensors.get("read.classes"), tensors.get("read.logprobs")
        read = None if classes is None or logprobs is None else Transcript(classes, logprobs)
        return ImageFeatures(tensors["pooled"], deep, read)

    def write(self, key: str, value: ImageFeatures) -> None:
        from safetensors.torch import save_file

        tensors = {"pooled": value.pooled.contiguous().cpu()}
        tensors |= {f"deep.{i}": t.contiguous().cpu() for i, t in enumerate(value.deep)}
        if (read := value.transcript) is not None:
            tensors |= {"read.classes": read.classes, "read.logprobs": read.logprobs}
        part = self._folder / f"{key}.{threading.get_ident()}.part"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            save_file(tensors, part)
            self._room -= part.stat().st_size
            part.replace(self._folder / f"{key}.safetensors")
            if self._room < 0:
                self._trim()
        except OSError:  # a full or read-only disk costs the cache, not the request
            part.unlink(missing_ok=True)

    def _trim(self) -> None:
        files = [(p.stat(), p) for p in self._folder.glob("*.safetensors")]
        total = sum(s.st_size for s, _ in files)
        self._room = self._limit // 16
        for stat, path in sorted(files, key=lambda item: item[0].st_mtime):
            if total <= self._limit:
                return
            path.unlink(missing_ok=True)
            total -= stat.st_size
