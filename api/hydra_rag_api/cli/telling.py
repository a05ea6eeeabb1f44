"""What people are shown of documents' names: files of one name are told apart by their folders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hydra_rag.store.records import DocumentInfo

__all__ = ["told_apart"]


def told_apart(documents: Iterable[DocumentInfo]) -> dict[str, str]:
    """What to call each document, by id: its name, with as many folders as tell it from its namesakes."""
    namesakes: dict[str, list[DocumentInfo]] = defaultdict(list)
    for document in documents:
        namesakes[document.document].append(document)
    return {key: shown for found in namesakes.values() for key, shown in _apart(found).items()}


def _apart(namesakes: list[DocumentInfo]) -> dict[str, str]:
    shown = {document.document_id: document.document for document in namesakes}
    folders = {d.document_id: PurePath(d.path).parent.parts for d in namesakes}
    if len(set(folders.values())) < 2:  # one, or the same file again
        return shown
    depth = 1
    while len({parts[-depth:] for parts in folders.values()}) < len(set(folders.values())):
        depth += 1
    return {key: str(PurePath(*folders[key][-depth:], name)) for key, name in shown.items()}
