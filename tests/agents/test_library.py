"""The collection as the agent's library: what it keeps, and for how long."""

from __future__ import annotations

import gc
import weakref
from typing import Any

from PIL import Image

from hydra_rag_agents.library import CollectionLibrary
from hydra_rag_agents.state import PageId


class _Collection:
    def __init__(self) -> None:
        self.drawn: list[tuple[str, int]] = []

    def page_image(self, document_id: str, page: int) -> Image.Image:
        self.drawn.append((document_id, page))
        return Image.new("RGB", (4, 4))


def test_a_page_is_read_once_and_goes_with_its_turn() -> None:
    collection: Any = _Collection()
    library = CollectionLibrary(collection)
    page = PageId("A", 1)
    shown = library.image(page)
    assert library.image(page) is shown
    assert collection.drawn == [("A", 1)]
    gone, picture = weakref.ref(library), weakref.ref(shown)
    gc.disable()  # pictures of megabytes must not wait for the collector of cycles
    try:
        del library, shown
        assert gone() is None
        assert picture() is None
    finally:
        gc.enable()
