"""What every first stage has: settings, pages it covers, estimates. It names pages worth exact scoring."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from hydra_rag.values import FloatArray
from hydra_rag_indexing.page_table import IntArray, PageTable

__all__ = ["FirstStage", "Kind", "StageSettings", "row_norms"]

#: ``lists``: postings of pages; ``product``: small codes of every vector.
Kind: TypeAlias = Literal["lists", "product"]


@dataclass(frozen=True, slots=True)
class StageSettings:
    """How a first stage is used; chosen by :func:`hydra_rag_indexing.tuning.tune`, saved with it.

    ``budget``: how far every query row looks, as a share (of what: see the stage). ``share``: weight of what
    all words of a page have in common (:meth:`FirstStage.shifts`); ``length``: of the logarithm of a page's
    number of vectors (among more of them the best one is better); ``slope``: of the whole estimate.
    ``candidates``: pages to score for ten hits; ``caution``: when to score more (see
    :func:`hydra_rag_indexing.rerank.enough`), up to ``stretch`` times as many. ``recall``: measured on
    queries that did not choose these settings. ``trained_rows``: vectors there were at training; ``fit``:
    their mean similarity to their centroid; ``newest_fit``: that of the pages added last. ``tuned_rows``:
    vectors there were when the settings were chosen.
    """

    share: float = 0.0
    length: float = 0.0
    slope: float = 1.0
    budget: float = 0.2
    candidates: int = 100
    caution: float = 1.5
    stretch: float = 4.0
    recall: float = 0.0
    trained_rows: int = 0
    fit: float = 1.0
    newest_fit: float = 1.0
    tuned_rows: int = 0

    def saved(self) -> dict[str, float]:
        return asdict(self)

    @classmethod
    def parse(cls, saved: Mapping[str, float]) -> StageSettings:
        """``ValueError`` for anything but what :meth:`saved` gives, or gave before a setting was known."""
        missing = {field.name for field in fields(cls)} ^ saved.keys()
        if not missing <= {"length", "slope"}:
            raise ValueError(f"unknown settings {sorted(saved)}")
        whole = {name: int(saved[name]) for name in ("candidates", "trained_rows", "tuned_rows")}
        return cls(**{name: float(value) for name, value in saved.items()} | whole)  # type: ignore[arg-type]


def row_norms(query: FloatArray) -> float:
    """The sum of the rows' norms."""
    return float(np.sqrt(np.einsum("ij,ij->i", query, query)).sum())


class FirstStage(ABC):
    """Immutable. ``covered``: for every position of the page table, whether this stage knows the page.

    ``origin``: the name of the cache file that it is in, or comes from; empty for none.
    """

    kind: ClassVar[Kind]
    #: Values of ``budget`` and ``share`` worth trying.
    budgets: ClassVar[tuple[float, ...]]
    shares: ClassVar[tuple[float, ...]] = (0.0,)

    def __init__(self, covered: npt.NDArray[np.bool_], settings: StageSettings) -> None:
        self.covered, self.settings, self.origin = covered, settings, ""

    def tuned(self, **settings: Any) -> Self:
        """The same with other settings."""
        made = copy.copy(self)
        made.settings = replace(self.settings, **settings)
        return made

    def first_batch(self, k: int) -> int:
        """Pages to score at first for ``k`` hits."""
        return int(max(self.settings.candidates * max(1.0, k / 10) ** 0.7, 2 * k))

    def most_pages(self, first: int) -> int:
        """Pages to score at most when ``first`` were scored at first."""
        return int(self.settings.stretch * first)

    def guesses(self, query: FloatArray, table: PageTable, *, wider: float = 1.0) -> FloatArray:
        """Estimated MaxSim of every position: float32 [positions]; comparable with each other only.

        ``wider``: times the budget.
        """
        settings = self.settings
        total = self.estimates(query, len(table), settings.budget * wider)
        if settings.share:
            total[: len(self.covered)] += np.float32(settings.share) * self.shifts(query)
        if settings.length:
            total += np.float32(settings.length * row_norms(query)) * table.log_count
        return total if settings.slope == 1.0 else total * np.float32(settings.slope)

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes as saved."""

    @abstractmethod
    def estimates(self, query: FloatArray, pages: int, budget: float) -> FloatArray:
        """:meth:`guesses` without :meth:`shifts` and lengths."""

    @abstractmethod
    def effort(self, query_rows: float, budget: float, pages: int) -> float:
        """What :meth:`estimates` costs, in postings met."""

    def shifts(self, query: FloatArray) -> FloatArray:
        """What ``share`` is the weight of: float32 [positions]."""
        return np.zeros(len(self.covered), np.float32)

    @abstractmethod
    def grown(self, pages: int) -> FirstStage:
        """For a table that has more positions now; the new ones are not covered."""

    @abstractmethod
    def moved(self, target: IntArray, pages: int) -> FirstStage:
        """For another table: position ``i`` becomes ``target[i]``, -1 drops it."""

    @abstractmethod
    def with_pages(self, table: PageTable, positions: IntArray) -> FirstStage:
        """A stage that also covers these positions; the centroids stay. ``newest_fit`` is theirs."""

    @abstractmethod
    def tensors(self, positions: IntArray) -> dict[str, npt.NDArray[Any]]:
        """What is saved of these (covered) positions, which become 0, 1, …"""

    @classmethod
    @abstractmethod
    def from_tensors(
        cls, tensors: Mapping[str, npt.NDArray[Any]], positions: IntArray, pages: int, settings: StageSettings
    ) -> FirstStage:
        """The reverse, for a table of so many pages: saved position ``i`` is at ``positions[i]``, -1 dropped.

        Raises ``ValueError``, ``KeyError`` or ``IndexError`` for what does not fit together.
        """
