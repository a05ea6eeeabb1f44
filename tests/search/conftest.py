"""A store with documents that other tests search."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from hydra_rag.store.models import BlobRow, CollectionRow, DocumentRow, PageRow
from hydra_rag.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store") as opened:
        yield opened


def add_document(
    db: Session,
    name: str,
    pages: int,
    *,
    tenant: str = "default",
    collection: str = "default",
    state: str = "ready",
    media_type: str = "application/pdf",
) -> list[int]:
    """A document with empty pages; returns their keys."""
    if db.get(CollectionRow, (tenant, collection)) is None:
        db.add(CollectionRow(tenant=tenant, name=collection))
    if db.get(BlobRow, (tenant, "0" * 64)) is None:
        db.add(BlobRow(tenant=tenant, sha256="0" * 64, bytes=1))
    db.flush()
    db.add(
        DocumentRow(
            id=name, tenant=tenant, collection=collection, path=f"/{name}", name=name, sha256="0" * 64,
            bytes=1, media_type=media_type, state=state, page_count=pages,
        )
    )  # fmt: skip
    db.flush()
    rows = [
        PageRow(
            tenant=tenant, collection=collection, document_id=name, page_number=n + 1, width=100, height=100,
            image_sha256="0" * 64, image_suffix=".png", image_bytes=1,
        )
        for n in range(pages)
    ]  # fmt: skip
    db.add_all(rows)
    db.flush()
    return [row.page_key for row in rows]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Tiny matrices: more threads only wait for each other on a busy machine."""
    import faiss
    import torch

    faiss.omp_set_num_threads(1)
    torch.set_num_threads(1)
