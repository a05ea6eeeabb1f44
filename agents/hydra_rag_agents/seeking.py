"""Search with text, an image, or both; with both, the part of the image that the words are about counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hydra_rag.errors import NotFoundError
from hydra_rag_agents.actions import queries
from hydra_rag_agents.fuse import fuse
from hydra_rag_agents.library import CollectionLibrary
from hydra_rag_agents.looking import look, look_tokens
from hydra_rag_agents.moves import Search
from hydra_rag_agents.places import text_places
from hydra_rag_agents.result import query_item
from hydra_rag_agents.state import AskSettings, Turn
from hydra_rag_agents.steps import look_step

if TYPE_CHECKING:
    from PIL import Image

    from hydra_rag_agents.ports import Reader
    from hydra_rag_indexing.collection import Collection
    from hydra_rag_indexing.search import Hit

__all__ = ["seek"]


def seek(
    collection: Collection,
    reader: Reader,
    query: str | None,
    image: Image.Image | None,
    *,
    k: int,
    mode: str,
    gaze: str,
    documents: Sequence[str] | None = None,
) -> tuple[list[Hit], list[dict[str, Any]]]:
    """(the ``k`` best pages, steps). ``gaze``: with text and an image, look at the image first and search
    with its crop beside the whole: ``auto`` where the gate says that it pays, ``always``, or ``never``."""
    item = query_item(query, image)
    settings = AskSettings(k=k, mode=mode, gaze=gaze)  # type: ignore[arg-type]
    steps: list[dict[str, Any]] = []
    items = [item]
    boxes: tuple[Any, ...] = ()
    if query and query.strip() and image is not None and gaze != "never" and mode != "text":
        turn = Turn(query, settings, image)
        found = look(CollectionLibrary(collection), reader, turn, None)
        steps.append(look_step(None, found, look_tokens(reader, turn, None)).to_json())
        boxes = tuple(s.box for s in reader.gate.worth(found, always=gaze == "always")[:1])
        items = queries(turn, Search(k, mode, boxes))
    rankings = [collection.search(one, k, mode=settings.mode, documents=documents) for one in items]
    step: dict[str, Any] = {
        "action": "search",
        "query": query,
        "image": image is not None,
        "mode": mode,
        "k": k,
    }
    if boxes:
        step["crops"] = [list(box) for box in boxes]
    return _placed(collection, fuse(rankings)[:k], query), [*steps, step]


def _placed(collection: Collection, hits: Sequence[Hit], query: str | None) -> list[Hit]:
    """The hits with the places that their pages' words give; without, those of the similarity map stay."""
    from hydra_rag_indexing.search import Region

    found: list[Hit] = []
    for hit in hits:
        try:
            words = collection.page_words(hit.document_id, hit.page) if query else []
        except NotFoundError:  # removed a moment ago
            words = []
        places = text_places(words, query or "")
        regions = [Region(box, score) for box, score in places]
        found.append(replace(hit, regions=regions) if regions else hit)
    return found
