"""Who issued an invoice that names its issuer by its letterhead alone: the first name on the page."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hydra_rag_agents.cells import Cell
from hydra_rag_agents.kinds import told_kind
from hydra_rag_agents.meanings import is_label

__all__ = ["asks_issuer", "letterhead"]

_PAPER = r"(?:invoice|bill|receipt|reminder|credit note|order confirmation|offer|quotation|statement)"
_ISSUER = re.compile(
    rf"^\W*(?:who|(?:which|what) (?:company|firm|business)) (?:sent|issued|wrote|made out)\b.*\b{_PAPER}\b"
    rf"|^\W*(?:who|(?:which|what) company) is (?:the )?(?:{_PAPER} from|(?:issuer|sender) of .*{_PAPER})",
    re.IGNORECASE,
)
_LABELS = frozenset(
    "from, sender, seller, vendor, supplier, issuer, issued by, sent by, billed by, invoice from".split(", ")
)
#: Kinds of text that a letterhead is (:func:`hydra_rag_agents.kinds.told_kind`), and rows that it stands in.
_NAMES, _ROWS = ("company", "names"), 3


def asks_issuer(question: str) -> bool:
    """Whether ``question`` asks who sent an invoice, or a paper like one."""
    return _ISSUER.search(question) is not None


def letterhead(rows: Sequence[Sequence[Cell]]) -> Cell | None:
    """The name at the head of the page; ``None`` where there is none, or the page names its issuer beside a
    label."""
    cells = [cell for row in rows for cell in row]
    if any(cell.text.partition(":")[0].casefold() in _LABELS for cell in cells):
        return None
    head = [
        c for row in rows[:_ROWS] for c in row if not (c.figures or c.text.endswith(":") or is_label(c.text))
    ]
    return next((cell for kind in _NAMES for cell in head if told_kind(cell.text) == kind), None)
