"""Building a first stage that finds what an exact scan finds, with the cheapest settings that do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np

from hydra_rag.errors import UsageError
from hydra_rag.values import FloatArray
from hydra_rag_indexing.first_stage import FirstStage, Kind
from hydra_rag_indexing.page_table import PageTable

if TYPE_CHECKING:
    from hydra_rag_indexing.codes import Codes

__all__ = ["Choice", "best_stage", "checked", "extended", "outdated"]

#: The setting ``first_stage``: a kind, or ``none`` to score every page.
Choice: TypeAlias = Literal["lists", "product", "none"]

#: The settings are chosen again when the collection is this many times what they were chosen for.
_RETUNE = 1.5
#: The centroids are trained again when the collection is this many times what they were trained on,
#: or when new pages lie this much worse with them.
_GROWTH, _WORSE_FIT = 4.0, 0.85
_QUERIES = 192


def checked(choice: str) -> Choice:
    """``choice``. Raises ``UsageError`` for what is none."""
    if choice not in get_args(Choice):
        raise UsageError(f"first_stage is one of {', '.join(get_args(Choice))}, not {choice!r}.")
    return choice  # type: ignore[return-value]


def _outgrown(stage: FirstStage, rows: int) -> bool:
    """Whether a collection of so many vectors needs other centroids than those of ``stage``."""
    settings = stage.settings
    return rows >= _GROWTH * max(settings.trained_rows, 1) or settings.newest_fit < _WORSE_FIT * settings.fit


def outdated(stage: FirstStage, rows: int) -> bool:
    """Whether :func:`best_stage` would find better settings or centroids for so many vectors."""
    return rows > _RETUNE * stage.settings.tuned_rows or _outgrown(stage, rows)


def extended(table: PageTable, known: FirstStage | None, choice: Choice) -> FirstStage | None:
    """``known``, a stage for this table, with the live pages that it lacks under its own centroids and with
    its own settings; ``None`` where another kind is wanted or the pages need other centroids."""
    if known is None or known.kind != choice or _outgrown(known, table.live_rows):
        return None
    made = known.with_pages(table, np.flatnonzero(table.alive & ~known.covered))
    return None if _outgrown(made, table.live_rows) else made


def best_stage(
    table: PageTable,
    known: FirstStage | None,
    choice: Choice,
    codes: Codes | None,
    queries: Sequence[FloatArray] | None = None,
) -> FirstStage | None:
    """A first stage that covers all live pages of ``table``, or ``None`` where none finds enough.

    ``known``: one that :func:`extended` gave; without it, or where it finds too little, centroids are
    trained. ``queries``: what the settings are chosen on (default: sampled ones). Raises
    ``MissingExtraError`` without FAISS, ``CorruptionError`` on damaged pages.
    """
    from hydra_rag_indexing.tuning import sampled_queries, tune

    if choice == "none":
        return None
    asked = queries if queries is not None else sampled_queries(table, _QUERIES)
    for stage in _trials(table, known, choice):
        tuned = tune(stage, table, asked, codes)
        if tuned is not None:
            return tuned.tuned(tuned_rows=table.live_rows)
    return None


def _trials(table: PageTable, known: FirstStage | None, kind: Kind) -> Iterator[FirstStage]:
    from hydra_rag_indexing.page_lists import PageLists
    from hydra_rag_indexing.product_codes import ProductCodes

    if known is not None:
        yield known
    yield PageLists.train(table) if kind == "lists" else ProductCodes.train(table)
