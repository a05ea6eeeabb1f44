"""From what a user names to the files to read."""

from __future__ import annotations

import os
from pathlib import Path

from hydra_rag_indexing.files import Found, discover


def tree(top: Path) -> Path:
    for name in (
        "b.txt",
        "a.pdf",
        "sub/c.md",
        "sub/deep/d.png",
        ".hidden/x.txt",
        "sub/.secret.txt",
        "sub/z.tmp",
    ):
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return top


def names(found: list[Found], top: Path) -> list[str]:
    return [item.path.relative_to(top).as_posix() for item in found if item.error is None]


def codes(found: list[Found]) -> list[str]:
    return [item.error.code for item in found if item.error is not None]


def test_folder_is_walked_sorted_without_hidden_files(tmp_path: Path) -> None:
    tree(tmp_path)
    assert names(discover([tmp_path]), tmp_path) == [
        "a.pdf",
        "b.txt",
        "sub/c.md",
        "sub/deep/d.png",
        "sub/z.tmp",
    ]


def test_patterns(tmp_path: Path) -> None:
    tree(tmp_path)
    assert names(discover([tmp_path], include=["*.md", "*.png"]), tmp_path) == ["sub/c.md", "sub/deep/d.png"]
    assert names(discover([tmp_path], exclude=["*.tmp", "sub/deep/*"]), tmp_path) == [
        "a.pdf",
        "b.txt",
        "sub/c.md",
    ]
    # A file that the user names is meant, whatever include says.
    assert names(discover([tmp_path / "a.pdf"], include=["*.md"]), tmp_path) == ["a.pdf"]


def test_globs(tmp_path: Path) -> None:
    tree(tmp_path)
    assert names(discover([f"{tmp_path}/*.txt"]), tmp_path) == ["b.txt"]
    assert names(discover([f"{tmp_path}/**/*.md"]), tmp_path) == ["sub/c.md"]
    odd = tmp_path / "odd[1].txt"
    odd.write_text("x")
    assert names(discover([odd]), tmp_path) == ["odd[1].txt"]


def test_bad_paths_are_errors_of_their_own(tmp_path: Path) -> None:
    tree(tmp_path)
    found = discover([tmp_path / "none.pdf", tmp_path / "a.pdf", f"{tmp_path}/*.xyz", "bad\0name"])
    assert codes(found) == ["not_found", "not_found", "unreadable"]
    assert names(found, tmp_path) == ["a.pdf"]


def test_each_file_once_and_loops_end(tmp_path: Path) -> None:
    tree(tmp_path)
    (tmp_path / "sub" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "again.txt").symlink_to(tmp_path / "b.txt")
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    found = discover([tmp_path, tmp_path / "a.pdf"])
    assert codes(found) == []
    assert sorted(Path(os.path.realpath(item.path)).name for item in found) == [
        "a.pdf",
        "b.txt",
        "c.md",
        "d.png",
        "z.tmp",
    ]


def test_folder_reached_by_a_link_is_walked(tmp_path: Path) -> None:
    tree(tmp_path / "real")
    (tmp_path / "named").mkdir()
    (tmp_path / "named" / "link").symlink_to(tmp_path / "real" / "sub", target_is_directory=True)
    assert names(discover([tmp_path / "named"]), tmp_path) == [
        "named/link/c.md",
        "named/link/deep/d.png",
        "named/link/z.tmp",
    ]


def test_a_store_in_the_folder_is_no_source(tmp_path: Path) -> None:
    from hydra_rag.store import Store

    tree(tmp_path)
    plain = names(discover([tmp_path]), tmp_path)
    with Store.open(tmp_path / "sub" / "store"):
        assert names(discover([tmp_path]), tmp_path) == plain


def test_names_that_are_not_unicode_are_errors(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("good")
    (tmp_path / os.fsdecode(b"bad\xff.txt")).write_text("bad")
    found = discover([tmp_path])
    assert names(found, tmp_path) == ["good.txt"]
    (failed,) = (item for item in found if item.error is not None)
    assert failed.error is not None
    assert (failed.path.name, failed.error.code) == ("bad?.txt", "bad_name")
    assert "rename" in failed.error.message
