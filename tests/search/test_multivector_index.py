"""The index on its own: contract, durability, other processes, damage."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from hydra_rag.errors import CorruptionError, FingerprintError, HydraError, NotFoundError, UsageError
from hydra_rag.maxsim import maxsim_reference
from hydra_rag_indexing import MultiVectorIndex

DIM = 16


def _page(seed: int, rows: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, DIM)).astype(np.float32)


def _brute(stored: dict[object, np.ndarray], query: np.ndarray, k: int) -> list[tuple[object, float]]:
    scores = {i: float(np.float32(maxsim_reference(query, p.astype(np.float16)))) for i, p in stored.items()}
    return sorted(scores.items(), key=lambda item: -item[1])[:k]


def test_contract(tmp_path: Path) -> None:
    stored = {i if i % 2 else str(i): _page(i, 1 + i % 7) for i in range(40)}
    with MultiVectorIndex(tmp_path / "index", DIM) as index:
        assert index.search(_page(1), 5) == []
        index.add(list(stored), list(stored.values()))
        index.add([], [])
        for k in (1, 5, 100):
            assert index.search(_page(99), k) == _brute(stored, _page(99), k)
        index.add([3, "x", "x"], [_page(300), _page(301), _page(302, 2)])
        stored |= {3: _page(300), "x": _page(302, 2)}
        assert index.remove(["4", 5, "absent", 4]) == 2
        del stored["4"], stored[5]
        assert len(index) == len(stored)
        assert 3 in index
        assert "3" not in index
        assert np.array_equal(index.get("x"), _page(302, 2).astype(np.float16).astype(np.float32))
        with pytest.raises(NotFoundError):
            index.get(5)
        expected = _brute(stored, _page(99), 50)
        assert index.search(_page(99), 50) == expected
        index.optimize()
        assert index.search(_page(99), 50) == expected
        index.verify()
        assert len(list((tmp_path / "index" / "segments").iterdir())) == 1
    with MultiVectorIndex(tmp_path / "index", DIM) as again:
        assert again.search(_page(99), 50) == expected
    with pytest.raises(UsageError, match="closed"):
        again.search(_page(99), 5)
    again.close()


def test_what_is_refused(tmp_path: Path) -> None:
    with MultiVectorIndex(tmp_path, DIM) as index:
        for ids, arrays in (
            ([1, 2], [_page(1)]),
            ([True], [_page(1)]),
            ([1.5], [_page(1)]),
            ([2**63], [_page(1)]),
            (["\ud800"], [_page(1)]),
            ([1], [_page(1)[:, :3]]),
            ([1], [_page(1)[:0]]),
            ([1], [_page(1)[0]]),
            ([1, 2], [_page(1), _page(1) * np.nan]),
        ):
            with pytest.raises(UsageError):
                index.add(ids, arrays)
        assert len(index) == 0
        index.add([np.int64(7), ""], [_page(1), _page(2)])
        assert 7 in index
    for dim, dtype in ((DIM + 1, "float16"), (DIM, "float32")):
        with pytest.raises(FingerprintError):
            MultiVectorIndex(tmp_path, dim, dtype)
    for dim, dtype in ((0, "float16"), (DIM, "int4")):
        with pytest.raises(UsageError):
            MultiVectorIndex(tmp_path / "new", dim, dtype)
    (tmp_path / "file").write_text("")
    with pytest.raises(HydraError):
        MultiVectorIndex(tmp_path / "file", DIM)


def test_any_history_equals_an_index_that_never_had_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    ids = st.one_of(st.integers(0, 5), st.sampled_from(["0", "1", "é"]))

    class Machine(RuleBasedStateMachine):
        @initialize()
        def start(self) -> None:
            self.folder = tmp_path_factory.mktemp("history")
            self.index = MultiVectorIndex(self.folder, DIM)
            self.other = MultiVectorIndex(self.folder, DIM)  # as another process: it looks now and then
            self.stored: dict[object, np.ndarray] = {}
            self.seed = 0

        @rule(chosen=st.lists(ids, max_size=4), rows=st.integers(1, 4))
        def add(self, chosen: list[int | str], rows: int) -> None:
            pages = [_page(self.seed + i, rows + i) for i in range(len(chosen))]
            self.seed += len(chosen)
            self.index.add(chosen, pages)
            self.stored |= dict(zip(chosen, pages, strict=True))

        @rule(chosen=st.lists(ids, max_size=3))
        def remove(self, chosen: list[int | str]) -> None:
            self.index.remove(chosen)
            for item in chosen:
                self.stored.pop(item, None)

        @rule()
        def optimize(self) -> None:
            self.index.optimize()

        @rule()
        def look(self) -> None:
            assert self.other.search(_page(78), 20) == _brute(self.stored, _page(78), 20)
            assert len(self.other) == len(self.stored)
            for item in [*range(6), "0", "1", "é"]:
                assert (item in self.other) == (item in self.stored)
                if item in self.stored:
                    assert np.array_equal(self.other.get(item), self.stored[item].astype(np.float16))

        @rule()
        def reopen(self) -> None:
            self.index.close()
            self.index = MultiVectorIndex(self.folder, DIM)

        @invariant()
        def equal(self) -> None:
            if hasattr(self, "index"):
                assert self.index.search(_page(77), 20) == _brute(self.stored, _page(77), 20)

        def teardown(self) -> None:
            if hasattr(self, "index"):
                self.look()
                self.index.verify()
                self.index.close()
                self.other.close()

    run_state_machine_as_test(
        Machine, settings=settings(max_examples=15, stateful_step_count=12, deadline=None)
    )


def test_small_segments_are_merged_as_they_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hydra_rag_indexing.multivector_index._MAX_SMALL", 4)
    with MultiVectorIndex(tmp_path, DIM) as index:
        for i in range(20):
            index.add([i], [_page(i)])
            assert len(list((tmp_path / "segments").iterdir())) <= 4
        assert index.search(_page(99), 20) == _brute({i: _page(i) for i in range(20)}, _page(99), 20)


_ADD_FOREVER = """
import os, sys
import numpy as np
from hydra_rag_indexing import MultiVectorIndex
index = MultiVectorIndex(sys.argv[1], 16)
out = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for i in range(10**6):
    page = np.random.default_rng(i).normal(size=(5, 16))
    index.add([i, f"last {i % 3}"], [page, page])
    os.write(out, b"%d\\n" % i)
"""


def test_killed_writer_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = subprocess.Popen([sys.executable, "-c", _ADD_FOREVER, str(tmp_path / "index"), str(log)])
    while not log.exists() or log.read_bytes().count(b"\n") < 25:
        time.sleep(0.02)
        assert child.poll() is None
    child.kill()
    child.wait()
    done = [int(x) for x in log.read_text().split()]
    (tmp_path / "index" / "segments" / "stray.safetensors").write_bytes(b"half a file")
    (tmp_path / "index" / "tmp" / "stray.tmp").write_bytes(b"half a file")
    with MultiVectorIndex(tmp_path / "index", DIM) as index:
        index.verify()
        assert set(done) <= {i for i, _ in index.search(_page(1), 10**6) if isinstance(i, int)}
        index.add(["new"], [_page(1)])
        assert not list((tmp_path / "index" / "tmp").iterdir())
        names = {p.name for p in (tmp_path / "index" / "segments").iterdir()}
        assert "stray.safetensors" not in names


def test_readers_see_whole_changes_while_another_index_writes(tmp_path: Path) -> None:
    """Two index objects on one folder, as two processes have them: every read is one whole state."""
    writer, reader = MultiVectorIndex(tmp_path, DIM), MultiVectorIndex(tmp_path, DIM)
    writer.add(["a", "b"], [_page(0), _page(0)])
    problems: list[str] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            hits = dict(reader.search(_page(5), 10))
            if hits.keys() != {"a", "b"} or hits["a"] != hits["b"]:
                problems.append(str(hits))

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(1, 30):
        writer.add(["a", "b"], [_page(i), _page(i)])
        if i % 10 == 0:
            writer.optimize()
    stop.set()
    for thread in threads:
        thread.join()
    assert problems == []
    assert reader.search(_page(5), 10) == writer.search(_page(5), 10)
    writer.close()
    reader.close()


def test_damaged_files_are_errors_not_crashes(tmp_path: Path) -> None:
    with MultiVectorIndex(tmp_path, DIM) as index:
        index.add([1, 2], [_page(1), _page(2)])
        segment = next((tmp_path / "segments").iterdir())
    raw = segment.read_bytes()
    for damaged in (raw[:-1], raw[: len(raw) // 2], b"", raw[:-400] + b"\xff" + raw[-399:]):
        segment.write_bytes(damaged)
        with pytest.raises(CorruptionError), MultiVectorIndex(tmp_path, DIM) as index:
            index.search(_page(1), 5)
    segment.unlink()
    with pytest.raises(CorruptionError):
        MultiVectorIndex(tmp_path, DIM)
    segment.write_bytes(raw)
    with MultiVectorIndex(tmp_path, DIM) as index:
        assert len(index.search(_page(1), 5)) == 2
    for lost in (b"not a database" * 100, b"", None):
        (tmp_path / "catalog.db").unlink()
        if lost is not None:
            (tmp_path / "catalog.db").write_bytes(lost)
        with pytest.raises(CorruptionError):
            MultiVectorIndex(tmp_path, DIM)
    assert segment.exists(), "vectors without a catalog were swept"
