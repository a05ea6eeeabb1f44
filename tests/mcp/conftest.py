"""A store with two documents, fake vectors and a scripted reader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from hydra_rag.testing_fakes import FakeEmbedder
from hydra_rag_agents.facade import HydraRAG
from hydra_rag_agents.testing import ScriptedReader


class Model(FakeEmbedder):
    def close(self) -> None:
        pass


def make_rag(folder: Path, tenant: str = "default") -> HydraRAG:
    return HydraRAG(
        folder,
        tenant=tenant,
        load=lambda: Model(),  # type: ignore[arg-type,return-value]
        reader=ScriptedReader(lambda images, prompt: ("30 days", 0.95)),
    )


def write_documents(folder: Path) -> list[Path]:
    folder.mkdir()
    image = Image.new("RGB", (320, 440), "white")
    ImageDraw.Draw(image).rectangle((64, 128, 127, 191), fill="red")
    image.save(folder / "form.png")
    (folder / "terms.txt").write_text("Delivery terms\nGoods come back within 30 days\n", encoding="utf-8")
    return sorted(folder.iterdir())


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def rag(tmp_path: Path) -> Iterator[HydraRAG]:
    paths = write_documents(tmp_path / "docs")
    with make_rag(tmp_path / "store") as rag:
        results: list[Any] = rag.ingest(paths, ocr="never")
        assert [result.status for result in results] == ["indexed", "indexed"]
        yield rag
