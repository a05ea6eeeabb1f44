"""What must hold of the repository as a whole."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE_ROOTS = (".", "indexing", "agents", "api", "migrations")
PACKAGES = ("hydra_rag", "hydra_rag_indexing", "hydra_rag_agents", "hydra_rag_api", "hydra_rag_migrations")
LIMIT = 300
#: Modules that may be longer, with the reason. Keep it empty if you can.
LONGER: dict[str, str] = {
    "migrations/hydra_rag_migrations/versions/v0001_initial.py": "a released migration is frozen whole",
}


def tracked(*patterns: str) -> list[Path]:
    """Files under version control (every file below the root where there is no git)."""
    try:
        out = subprocess.run(
            ["git", "ls-files", "-z", "--", *patterns], cwd=ROOT, capture_output=True, check=True
        ).stdout
        return [ROOT / name for name in out.decode().split("\0") if name and (ROOT / name).is_file()]
    except (OSError, subprocess.CalledProcessError):
        return [path for pattern in patterns for path in ROOT.rglob(pattern) if ".venv" not in path.parts]


def modules() -> list[Path]:
    return sorted(
        path
        for root in SOURCE_ROOTS
        for package in PACKAGES
        for path in (ROOT / root / package).rglob("*.py")
    )


def test_every_package_is_where_the_layout_says_and_is_typed() -> None:
    homes = dict(zip(PACKAGES, SOURCE_ROOTS, strict=True))
    for package, root in homes.items():
        assert (ROOT / root / package / "__init__.py").is_file()
        assert (ROOT / root / package / "py.typed").is_file()


def test_modules_stay_short() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in modules()
        if (count := len(path.read_text(encoding="utf-8").splitlines())) >= LIMIT
    }
    assert {name: count for name, count in long.items() if name not in LONGER} == {}
    assert [name for name in LONGER if name not in long] == []


def test_every_module_says_what_it_is_for() -> None:
    empty = [
        str(p.relative_to(ROOT))
        for p in modules()
        if not p.read_text(encoding="utf-8").lstrip().startswith(('"""', 'r"""'))
    ]
    assert empty == []


#: Folders of somebody's machine. System folders such as /usr/share/fonts are not.
PRIVATE = re.compile(r"(?<![\w.])/(?:work|root|home/\w+|Users/\w+|opt/(?:wheels|pypi))(?:/|\b)")


def test_no_path_of_a_developers_machine_is_in_the_repository() -> None:
    found = []
    for path in tracked(
        "*.py", "*.md", "*.toml", "*.txt", "*.json", "*.sh", "*.cfg", "*.yml", "Makefile", ".ci/run"
    ):
        if path == Path(__file__).resolve():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if PRIVATE.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert found == []


@pytest.mark.parametrize("needle", ["import pickle", "trust_remote_code=True", "torch.load(", "eval("])
def test_nothing_runs_code_from_a_file(needle: str) -> None:
    pattern = re.compile(r"(?<![\w.])" + re.escape(needle))
    found = [
        str(path.relative_to(ROOT)) for path in modules() if pattern.search(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_only_the_settings_read_the_environment() -> None:
    pattern = re.compile(r"\bos\.(?:getenv|environ(?!\.setdefault))\b")
    allowed = {
        "api/hydra_rag_api/settings.py",
        "indexing/hydra_rag_indexing/files/process.py",  # hands a short list of names on to its child
    }
    found = {
        str(path.relative_to(ROOT)) for path in modules() if pattern.search(path.read_text(encoding="utf-8"))
    }
    assert found - allowed == set()


def test_documents_and_example_pictures_stay_small() -> None:
    total = sum(path.stat().st_size for path in tracked("examples/*"))
    assert total < 1_500_000
    assert max((p.stat().st_size for p in tracked("*")), default=0) < 40_000_000
