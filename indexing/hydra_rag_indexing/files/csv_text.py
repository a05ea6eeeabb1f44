"""Comma-separated values to a table."""

from __future__ import annotations

import csv
import io
from collections import Counter

from hydra_rag_indexing.files.pdf_fonts import BOLD, CODE, REGULAR
from hydra_rag_indexing.files.typeset import Block, Rule, Table

__all__ = ["csv_blocks"]

_DELIMITERS = ",;\t|"
_MAX_COLUMNS = 200
_SAMPLE = 65_536
_TAB = 8


def csv_blocks(text: str) -> list[Block | Table | Rule]:
    """One table, whose first row is its heading; lines with one value above it are titles. The lines as they
    are where most don't have the same number of values."""
    rows = _rows(text)
    if rows is None:
        return [
            Block([(line.expandtabs(_TAB), CODE)], size=9.5, before=0.0, keep=True)
            for line in text.split("\n")
        ]
    titles = 0
    while titles < len(rows) and sum(map(bool, rows[titles])) < 2:
        titles += 1
    above: list[Block | Table | Rule] = [Block([(" ".join(row).strip(), BOLD)]) for row in rows[:titles]]
    body = rows[titles:]
    used = sorted({i for row in body for i, value in enumerate(row) if value})
    table = [[[(row[i] if i < len(row) else "", REGULAR)] for i in used] for row in body]
    return [*above, Table(table)] if table else above


def _rows(text: str) -> list[list[str]] | None:
    """The values of every line that has any, by the delimiter that parts most of the first lines alike."""
    best = max(_DELIMITERS, key=lambda delimiter: _regularity(_parsed(text[:_SAMPLE], delimiter)))
    rows = _parsed(text, best)
    share, columns = _regularity(rows)
    return rows if share > 0.5 and columns <= _MAX_COLUMNS else None


def _parsed(text: str, delimiter: str) -> list[list[str]]:
    try:
        rows = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=delimiter != "\t")
        stripped = [[cell.strip().expandtabs(_TAB) for cell in row] for row in rows]
    except csv.Error:
        return []
    return [row for row in stripped if any(row)]


def _regularity(rows: list[list[str]]) -> tuple[float, int]:
    """Which share of the rows has the usual number of values, and that number; (0, 0) for less than two."""
    counts = Counter(len(row) for row in rows if len(row) > 1)
    if not counts:
        return 0.0, 0
    columns, count = counts.most_common(1)[0]
    return count / len(rows), columns
