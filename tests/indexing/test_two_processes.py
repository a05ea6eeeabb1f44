"""One process searches without a pause while another one replaces, removes, compacts and reads anew."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hydra_rag.store import Store
from hydra_rag.testing_fakes import FakeEmbedder
from hydra_rag_indexing.collection import Collection
from tests.indexing.library import page_image

ROUNDS = 4
WRITER = """
import sys
from pathlib import Path
import hydra_rag_indexing.files.load
from hydra_rag.store import Store
from hydra_rag.testing_fakes import FakeEmbedder
from hydra_rag_indexing.collection import Collection
from tests.indexing import library
from tests.indexing.conftest import QUICK

hydra_rag_indexing.files.load.load_pages = library.load_pages
sources = Path(sys.argv[2])
with Store.open(sys.argv[1]) as store:
    collection = Collection(store, FakeEmbedder, settings=QUICK)
    for turn in range(1, int(sys.argv[3]) + 1):
        for name, pages in (("a.txt", 2), ("b.txt", 3)):
            path = library.write_source(sources / name, pages, 10 * turn + pages, f"turn{turn}")
            [result] = collection.ingest([path])
            assert result.error is None, result
        collection.compact(purge=True)
        print(f"ingested {turn}", flush=True)
        assert sys.stdin.readline()
        collection.remove([result.document_id])
        print(f"removed {turn}", flush=True)
        assert sys.stdin.readline()
"""


def test_a_reader_beside_a_writer_sees_whole_states_and_every_new_one(
    store: Store, source: Callable[..., Path]
) -> None:
    reader, embedder = Collection(store, FakeEmbedder), FakeEmbedder()
    folder = source("unused.txt").parent
    command = [sys.executable, "-c", WRITER, str(store.directory), str(folder), str(ROUNDS)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin is not None
    assert child.stdout is not None
    wrong: list[str] = []
    stop = threading.Event()
    searches = 0

    def search() -> None:
        nonlocal searches
        while not stop.is_set():
            mode = "visual" if searches % 2 else "text"
            hits = reader.search("turn1 turn2 turn3 turn4", k=100, mode=mode)  # type: ignore[arg-type]
            searches += 1
            for name, pages in (("a.txt", [1, 2]), ("b.txt", [1, 2, 3])):
                found = [hit for hit in hits if hit.document == name]
                if found and sorted(hit.page for hit in found) != pages:
                    wrong.append(f"{mode}: {name} with pages {[hit.page for hit in found]}")
                if len({hit.document_id for hit in found}) > 1:
                    wrong.append(f"{mode}: two versions of {name}")

    def best(seed: int, page: int) -> tuple[str, int, bool]:
        picture = page_image(seed, page)
        hit = reader.search(picture, k=1, mode="visual")[0]
        whole = len(embedder.embed_queries([picture])[0].vectors)  # what the very page scores
        return hit.document, hit.page, bool(np.isclose(hit.score, whole, atol=1e-2))

    thread = threading.Thread(target=search)
    thread.start()
    try:
        for turn in range(1, ROUNDS + 1):
            assert child.stdout.readline() == f"ingested {turn}\n"
            assert best(10 * turn + 2, 2) == ("a.txt", 2, True)
            assert best(10 * turn + 3, 3) == ("b.txt", 3, True)
            assert {d.document for d in reader.documents()} == {"a.txt", "b.txt"}
            child.stdin.write("go on\n")
            child.stdin.flush()
            assert child.stdout.readline() == f"removed {turn}\n"
            assert {hit.document for hit in reader.search("turn1", k=9, mode="visual")} == {"a.txt"}
            child.stdin.write("go on\n")
            child.stdin.flush()
        assert child.wait(60) == 0
    finally:
        stop.set()
        thread.join()
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()
    assert wrong == []
    assert searches > ROUNDS
    assert reader.doctor().ok
