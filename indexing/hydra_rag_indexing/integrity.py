"""``doctor``: does what the rows say hold on disk, and the reverse? Checks the store's invariants.

Every problem has a stable code:

``database``, ``references``        SQLite's own checks fail
``segment_missing|truncated|corrupt``  a vector file (re-embedded by repair)
``rows``                            a page's rows are no page of its segment, or another page's
``vectors_missing``                 a page without vectors of its collection's model
``pages``                           a ready document whose pages are not 1 ... n
``image_missing|corrupt``           a page image (drawn anew by repair)
``original_missing|corrupt``        a stored original (copied anew by repair where the source still is)
``text``                            a page's words are not in the full-text table, or the reverse
``unknown_files``                   many files that no row names: an older database was restored?
``recall``                          searches miss pages that an exact scan finds (mended: a new first stage)
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hydra_rag.errors import HydraError
from hydra_rag_indexing.checks import Problem, check_store

if TYPE_CHECKING:
    from hydra_rag_indexing.collection import Collection

__all__ = ["LEAST_RECALL", "DoctorReport", "Problem", "run_doctor"]

log = logging.getLogger(__name__)

#: Below this share of the exact ten best the search is mended. Settings are accepted from 0.97 on; with this
#: many queries such a search is estimated lower than this about once in a thousand times.
LEAST_RECALL = 0.93
_QUERIES = 32


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """``problems``: what is wrong now (after the repair, when there was one). ``repaired``: what was mended.

    ``pages``, ``segments``: counts in the whole store. ``recall_estimate``: share of the exact ten best
    pages that the collection's search finds, on sampled queries; ``None`` without vectors.
    """

    problems: list[Problem]
    pages: int
    segments: int
    recall_estimate: float | None
    repaired: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "problems": [{"code": p.code, "message": p.message} for p in self.problems],
            "repaired": [{"code": p.code, "message": p.message} for p in self.repaired],
            "pages": self.pages,
            "segments": self.segments,
            "recall_estimate": self.recall_estimate,
        }


def run_doctor(
    collection: Collection, *, repair: bool = False, progress: Callable[[str], None] | None = None
) -> DoctorReport:
    """Verify the whole store (all tenants); mend it when asked.

    Repair needs the write lease (:class:`StoreBusyError` while another process writes) and, for lost
    vectors, the model that made them: pages of other models stay reported.
    """
    say = progress or log.info
    say("checking files and rows")
    checked = check_store(collection.store)
    repaired: list[Problem] = []
    if repair and checked.problems:
        from hydra_rag_indexing.repair import repair_store

        say(f"repairing {len(checked.problems)} problems")
        repair_store(collection, checked.problems)
        before = checked.problems
        checked = check_store(collection.store)
        left = {(p.code, p.subject) for p in checked.problems}
        repaired = [p for p in before if (p.code, p.subject) not in left]
        collection.forget_snapshot()
    say("comparing searches with exact scans")
    recall = _recall(collection)
    if recall is not None and recall < LEAST_RECALL:
        problem = Problem(
            "recall",
            f"Searches of {collection.name!r} find {recall:.2f} of the pages that an exact scan finds: run "
            "`hydra-rag doctor --repair` to build their first stage anew, or to do without one.",
        )
        if repair:
            collection.rebuild_search()
            recall = _recall(collection)
        mended = repair and (recall is None or recall >= LEAST_RECALL)
        (repaired if mended else checked.problems).append(problem)
    return DoctorReport(checked.problems, checked.pages, checked.segments, recall, repaired)


def _recall(collection: Collection) -> float | None:
    """Of the collection's search; ``None`` when there is nothing to search or a segment is damaged."""
    try:
        index = collection.snapshot()
        return None if index is None else index.recall_estimate(_QUERIES)
    except HydraError as error:
        log.warning("no recall estimate: %s", error)
        return None
