"""Items that come after the first stage was built, or while it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hydra_rag_indexing import MultiVectorIndex, multivector_index
from hydra_rag_indexing.page_lists import PageLists
from hydra_rag_indexing.page_table import PageTable
from hydra_rag_indexing.snapshot import VectorIndex
from tests.search.made_collections import DIM, PAGES, made_pages, small

__all__ = ["small"]  # a fixture


def test_items_that_come_while_it_is_built_do_not_undo_it(
    tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages, build = made_pages(PAGES + 1), VectorIndex.optimize
    with MultiVectorIndex(tmp_path, DIM) as index:
        index.add(list(range(PAGES)), pages[:PAGES])

        def meanwhile(snapshot: VectorIndex) -> VectorIndex:
            made = build(snapshot)
            index.add(["late"], pages[PAGES:])
            assert len(index) == PAGES + 1
            return made

        monkeypatch.setattr(VectorIndex, "optimize", meanwhile)
        index.optimize()
        assert index._current()[0].stage_bytes > 0
        assert index.search(pages[PAGES].astype(np.float32), 1)[0][0] == "late"


def test_who_adds_items_puts_them_into_the_first_stage(
    tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(multivector_index, "_MANY_ROWS", 100)
    pages, real, calls = made_pages(PAGES + 80), PageLists.with_pages, []

    def counted(stage: PageLists, table: PageTable, positions: np.ndarray) -> PageLists:
        calls.append(len(positions))
        return real(stage, table, positions)

    monkeypatch.setattr(PageLists, "with_pages", counted)
    with MultiVectorIndex(tmp_path, DIM) as writer, MultiVectorIndex(tmp_path, DIM) as reader:

        def add(first: int, last: int) -> list[int]:
            writer.add(list(range(first, last)), pages[first:last])
            for index in (writer, reader):
                query = pages[last - 1].astype(np.float32)
                assert index.search(query, 5)[0] == index.search(query, 5, exhaustive=True)[0]
            return [index._index.tail_rows for index in (writer, reader)]

        add(0, PAGES)
        writer.optimize()
        calls.clear()
        few = add(PAGES, PAGES + 3)
        assert few[0] == few[1] > 0
        assert calls == []
        assert add(PAGES + 3, PAGES + 40) == [0, 0]
        assert calls == [40], "a search put pages into the first stage"

        def refused(*_: object) -> PageLists:
            raise OSError("no disk")

        monkeypatch.setattr(PageLists, "with_pages", refused)
        assert add(PAGES + 40, PAGES + 80)[0] > 200
    assert "not made faster" in caplog.text
