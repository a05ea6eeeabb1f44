"""Is the store in a state that the acknowledgements allow? Independent of the code that wrote it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hydra_rag.store import Store
from hydra_rag_indexing.checks import check_store
from hydra_rag_indexing.collection import Collection
from tests.faults import workload
from tests.indexing.library import page_image


def wrong(root: Path) -> list[str]:
    """What is wrong after a fault; empty when all is well.

    The step after the last acknowledged one may have happened wholly or not at all.
    """
    done = workload.acknowledged(root)
    states: list[tuple[dict[str, tuple[int, int]], str]] = [({}, "one")]
    states += [(step.after, step.model) for step in workload.STEPS]
    allowed = states[done : done + 2]
    if not (root / "store" / "hydra.db").exists():
        return [] if done == 0 else ["the database is gone"]
    with Store.open(root / "store") as store:
        found = [f"{p.code}: {p.message}" for p in check_store(store).problems]
        if found:
            return found
        seen = _visible(store)
        if isinstance(seen, str):
            return [seen]
        if not any(
            seen == (documents, model) or (not documents and not seen[0]) for documents, model in allowed
        ):
            return [f"after {done} steps the store holds {seen}, allowed: {allowed}"]
    return []


def _visible(store: Store) -> tuple[dict[str, tuple[int, int]], str] | str:
    """Ready documents by name, after comparing every page's image and vectors with the truth."""
    one, two = workload.embedder("one"), workload.embedder("two")
    known = {one.fingerprint: ("one", one), two.fingerprint: ("two", two)}
    info = Collection(store, lambda: one).info()
    model, embedder = known.get(str(info.fingerprint), ("one", one))
    collection = Collection(store, lambda: embedder, fingerprint=embedder.fingerprint)
    seen: dict[str, tuple[int, int]] = {}
    for document in collection.documents():
        if document.status != "ready":
            continue
        original = collection.original_path(document.document_id).read_text()
        seed = int(original.split("seed=")[1].split()[0])
        for page in collection.document(document.document_id).page_list:
            image = page_image(seed, page.page)
            if collection.page_image(document.document_id, page.page).tobytes() != image.tobytes():
                return f"page {page.page} of {document.document} has another image"
            stored = collection.page_vectors(document.document_id, page.page).vectors
            true = embedder.embed_pages([image])[0].vectors.astype(np.float16).astype(np.float32)
            if not np.array_equal(stored, true):
                return f"page {page.page} of {document.document} has other vectors"
        if document.document in seen:
            return f"{document.document} is there twice"
        seen[document.document] = (seed, document.pages)
        hits = collection.search(f"word{seed}", k=50, mode="text")
        if len([hit for hit in hits if hit.document == document.document]) != document.pages:
            return f"not every page of {document.document} is found by its text"
    visual = collection.search(page_image(0, 0), k=100, mode="visual")
    if len(visual) != sum(pages for _, pages in seen.values()):
        return f"{len(visual)} pages are found by their looks, {seen} are stored"
    return seen, model
