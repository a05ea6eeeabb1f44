"""One tiny random model of every family on disk, made once per test run; engines opened over them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from hydra_rag.backbones import PROFILES
from hydra_rag.model import HydraModel
from hydra_rag.testing import FAMILIES, tiny_model


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {family: tiny_model(root / family, family) for family in FAMILIES}


@pytest.fixture(scope="session", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def engine(family: str, folders: dict[str, Path]) -> Iterator[HydraModel]:
    with HydraModel.load(str(folders[family]), device="cpu") as model:
        yield model


@pytest.fixture(scope="session")
def one_engine(folders: dict[str, Path]) -> Iterator[HydraModel]:
    """For tests that need only one family: the one with recurrent layers."""
    with HydraModel.load(str(folders["qwen3_5"]), device="cpu") as model:
        yield model


@pytest.fixture(scope="session")
def plain(family: str, folders: dict[str, Path]) -> Any:
    """The plain transformers class, loaded apart from the same files."""
    return load_plain(family, folders[family])


def load_plain(family: str, folder: Path, **options: Any) -> Any:
    cls = getattr(transformers, PROFILES[family].class_name)
    transformers.utils.logging.disable_progress_bar()
    return cls.from_pretrained(str(folder), dtype=torch.float32, **options).eval()


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def ask(*images: Image.Image, text: str = "What is the total?") -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = [{"type": "image", "image": image} for image in images]
    return [{"role": "user", "content": [*blocks, {"type": "text", "text": text}]}]
