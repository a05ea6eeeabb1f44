"""Device and dtype choice, random state, and errors of the device. Imports torch."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator

import torch

from hydra_rag.errors import HydraError, OutOfMemoryError, UsageError

__all__ = ["RandomState", "as_hydra_error", "pick_device", "pick_dtype"]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def pick_device(name: str) -> torch.device:
    """``auto`` is the first CUDA device, else the CPU. Raises :class:`UsageError` for an absent device."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"unknown device {name!r}; use auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError("no CUDA device is available; use --device cpu, or install a CUDA build of torch")
    return device


def pick_dtype(name: str | None, device: torch.device) -> torch.dtype:
    """``None``: float32 on the CPU, bfloat16 elsewhere."""
    if name is None:
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    if name not in _DTYPES:
        raise UsageError(f"unknown dtype {name!r}; use one of: {', '.join(_DTYPES)}")
    return _DTYPES[name]


def as_hydra_error(error: BaseException) -> BaseException:
    """Out-of-memory errors of torch as ours; every other error unchanged."""
    if isinstance(error, HydraError):
        return error
    text = str(error) or type(error).__name__
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and ("can't allocate memory" in text or "out of memory" in text)
    ):
        # The traceback's frames hold the request's tensors; nobody shall keep them with the error.
        traceback.clear_frames(error.__traceback__)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return OutOfMemoryError(
            f"the device ran out of memory and this request was dropped ({text.splitlines()[0][:200]}); "
            "use fewer or smaller images (image_tokens, max_tokens) or a smaller batch_size"
        )
    return error


class RandomState:
    """The random state of one request, kept apart from torch's global generators.

    torch's samplers draw from the global generator and ``generate`` takes none of its own; so a request
    swaps its state in for each step and out again, and concurrent work never changes what it draws.
    ``RandomState(device, seed)`` draws what ``torch.manual_seed(seed)`` would. Without a seed it continues
    the global generators as they stand, and moves those on, so that the next request draws something else.
    """

    def __init__(self, device: torch.device, seed: int | None = None) -> None:
        self._device = device
        if seed is not None:
            self._cpu = torch.Generator().manual_seed(seed).get_state()
            if device.type == "cuda":
                self._cuda = torch.Generator(device).manual_seed(seed).get_state()
            return
        self._cpu = torch.get_rng_state()
        torch.empty((), dtype=torch.int64).random_()
        if device.type == "cuda":
            self._cuda = torch.cuda.get_rng_state(device)
            torch.empty((), dtype=torch.int64, device=device).random_()

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Make this state the global one for the block; the caller owns the device meanwhile."""
        outer_cpu = torch.get_rng_state()
        outer_cuda = torch.cuda.get_rng_state(self._device) if self._device.type == "cuda" else None
        torch.set_rng_state(self._cpu)
        if outer_cuda is not None:
            torch.cuda.set_rng_state(self._cuda, self._device)
        try:
            yield
        finally:
            self._cpu = torch.get_rng_state()
            torch.set_rng_state(outer_cpu)
            if outer_cuda is not None:
                self._cuda = torch.cuda.get_rng_state(self._device)
                torch.cuda.set_rng_state(outer_cuda, self._device)
