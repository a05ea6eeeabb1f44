"""Comma-separated values to a table."""

from __future__ import annotations

import csv
import io

from hydra_rag_indexing.files.pdf_fonts import CODE, REGULAR
from hydra_rag_indexing.files.typeset import Block, Rule, Table

__all__ = ["csv_blocks"]

_MAX_COLUMNS = 14


def csv_blocks(text: str) -> list[Block | Table | Rule]:
    """One table; the lines as they are where the file is too wide or not regular."""
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(text[:8192], ",;|:")
    except csv.Error:
        dialect = csv.excel
    try:
        rows = [row for row in csv.reader(io.StringIO(text), dialect) if any(cell.strip() for cell in row)]
    except csv.Error:
        rows = []
    if not rows or not 2 <= max(map(len, rows)) <= _MAX_COLUMNS:
        return [Block([(line, CODE)], size=9.5, before=0.0, keep=True) for line in text.split("\n")]
    return [Table([[[(cell, REGULAR)] for cell in row] for row in rows])]
