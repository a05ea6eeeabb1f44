"""Importing FAISS, with an error that says what to install."""

from __future__ import annotations

import importlib
from contextlib import suppress
from functools import cache
from importlib import metadata
from typing import Any

from hydra_rag.errors import MissingExtraError

__all__ = ["gpu_count", "load_faiss"]

_CPU, _GPU = "faiss-cpu", ("faiss-gpu", "faiss-gpu-cu11", "faiss-gpu-cu12", "faiss-gpu-cuvs")


def _installed() -> set[str]:
    found = set()
    for name in (_CPU, *_GPU):
        with suppress(metadata.PackageNotFoundError):
            metadata.distribution(name)
            found.add(name)
    return found


@cache
def load_faiss() -> Any:
    """The ``faiss`` module. Raises ``MissingExtraError`` when it is missing or installed twice.

    The CPU and GPU packages hold the same files: whichever was installed last wins, and removing one
    breaks the other.
    """
    found = sorted(_installed())
    if len(found) > 1:
        raise MissingExtraError(
            f"{' and '.join(found)} are both installed and overwrite each other's files. Run"
            f" 'pip uninstall -y {' '.join(found)}', then 'pip install hydra-rag[cpu]' or 'hydra-rag[gpu]'."
        )
    try:
        return importlib.import_module("faiss")
    except ImportError as error:
        raise MissingExtraError(
            "Building the search index needs FAISS: run 'pip install hydra-rag[cpu]', or 'hydra-rag[gpu]'"
            f" on a machine with CUDA. ({error})"
        ) from error


def gpu_count() -> int:
    """GPUs that this FAISS can use; 0 for the CPU package."""
    faiss = load_faiss()
    return int(faiss.get_num_gpus()) if hasattr(faiss, "StandardGpuResources") else 0
