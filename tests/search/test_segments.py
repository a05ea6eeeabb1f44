"""Segment files: what is written comes back, and damage is always noticed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from hydra_rag.errors import CorruptionError, StoreError, UsageError
from hydra_rag_indexing.segments import open_segment, write_segment


def _write(folder: Path, seed: int = 0) -> tuple[Path, int, str, list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    pages = [rng.normal(size=(n, 4)).astype(np.float16) for n in (1, 3, 2)]
    info = write_segment(folder, folder, pages, boxes=[np.full((len(p), 4), 7) for p in pages])
    return info.path, info.bytes, info.sha256, pages


def test_round_trip_and_other_readers(tmp_path: Path) -> None:
    path, size, digest, pages = _write(tmp_path)
    segment = open_segment(path, expected_bytes=size)
    segment.verify(digest)
    for i, page in enumerate(pages):
        vectors, boxes = segment.page(i)
        assert np.array_equal(vectors.numpy(), page)
        assert (boxes == 7).all()
    with safe_open(path, "np") as file:
        assert np.array_equal(file.get_tensor("vectors"), np.concatenate(pages))
        assert file.get_tensor("offsets").tolist() == [0, 1, 4, 6]
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_every_flipped_bit_and_every_truncation_is_noticed(tmp_path: Path) -> None:
    path, size, digest, _ = _write(tmp_path)
    raw = path.read_bytes()
    bad = tmp_path / "bad.safetensors"
    for bit in range(len(raw) * 8):
        damaged = bytearray(raw)
        damaged[bit // 8] ^= 1 << (bit % 8)
        bad.write_bytes(damaged)
        with pytest.raises(CorruptionError):
            open_segment(bad, expected_bytes=size).verify(digest)
    for length in range(len(raw)):
        bad.write_bytes(raw[:length])
        with pytest.raises(CorruptionError):
            open_segment(bad)
    bad.write_bytes(raw + b"x")
    with pytest.raises(CorruptionError):
        open_segment(bad)


def test_damaged_page_is_noticed_on_use(tmp_path: Path) -> None:
    path, size, _, pages = _write(tmp_path)
    raw = bytearray(path.read_bytes())
    at = raw.index(pages[2].tobytes())
    raw[at] ^= 1
    path.write_bytes(raw)
    segment = open_segment(path, expected_bytes=size)
    segment.page(0)
    with pytest.raises(CorruptionError, match="page 2"):
        segment.page(2)


def test_a_file_cut_while_mapped_does_not_end_the_process(tmp_path: Path) -> None:
    path, *_ = _write(tmp_path)
    segment = open_segment(path)
    with open(path, "r+b") as file:
        file.truncate(100)
    with pytest.raises(CorruptionError, match="bytes"):
        segment.page(0)
    with pytest.raises(CorruptionError):
        segment.verify()


def test_a_deleted_file_stays_readable_while_open(tmp_path: Path) -> None:
    path, _, _, pages = _write(tmp_path)
    segment = open_segment(path)
    path.unlink()
    assert np.array_equal(segment.page(1)[0].numpy(), pages[1])
    with pytest.raises(CorruptionError, match="missing"):
        open_segment(path)


def test_headers_made_to_mislead(tmp_path: Path) -> None:
    path, *_ = _write(tmp_path)
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header, body = json.loads(raw[8 : 8 + length]), raw[8 + length :]
    for name, field, value in (
        ("vectors", "shape", [2**40, 4]),
        ("vectors", "shape", [-6, -4]),
        ("vectors", "dtype", "BOOL"),
        ("offsets", "data_offsets", [0, 32]),
        ("boxes", "shape", [24]),
        ("boxes", "data_offsets", None),
        ("vectors", "shape", "many"),
    ):
        changed = json.loads(json.dumps(header))
        changed[name][field] = value
        text = json.dumps(changed).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + body)
        with pytest.raises(CorruptionError):
            open_segment(path)
    for text in (b"[]", b"{}", b"null", b'"x"', b"{", b"\xff\xfe"):
        path.write_bytes(len(text).to_bytes(8, "little") + text + body)
        with pytest.raises(CorruptionError):
            open_segment(path)


def test_what_can_not_be_stored(tmp_path: Path) -> None:
    ok = np.ones((2, 4), np.float32)
    for pages in ([], [np.ones((0, 4))], [np.ones(4)], [ok, np.ones((2, 5))], [ok * np.nan], [ok * 1e6]):
        with pytest.raises(UsageError):
            write_segment(tmp_path, tmp_path, pages)
    with pytest.raises(UsageError):
        write_segment(tmp_path, tmp_path, [ok], boxes=[np.ones((1, 4))])
    with pytest.raises(UsageError):
        write_segment(tmp_path, tmp_path, [ok], dtype="int8")
    with pytest.raises(StoreError):
        write_segment(tmp_path, tmp_path / "no such folder", [ok])
    assert list(tmp_path.iterdir()) == []
    assert open_segment(write_segment(tmp_path, tmp_path, [ok * 1e6], dtype="float32").path).max_norm > 1e6
