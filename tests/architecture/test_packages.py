"""Importing costs nothing, exports exist, errors are documented, the command explains itself."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from hydra_rag import errors

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("hydra_rag", "hydra_rag_indexing", "hydra_rag_agents", "hydra_rag_api", "hydra_rag_migrations")
HEAVY = ("torch", "transformers", "peft", "faiss", "langchain_core", "fastapi", "pypdfium2")


def loaded_after(code: str) -> list[str]:
    """The heavy libraries that ``code`` imports, in a fresh interpreter."""
    report = f"import sys, json; print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    command = [sys.executable, "-W", "error", "-c", f"{code}\n{report}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded: list[str] = json.loads(done.stdout.splitlines()[-1])
    return loaded


@pytest.mark.parametrize("package", PACKAGES)
def test_a_bare_import_loads_nothing_heavy(package: str) -> None:
    assert loaded_after(f"import {package}") == []


LIGHT = (
    ["--help"],
    ["ingest", "--help"],
    ["ask", "--help"],
    ["documents", "list", "--json", "--store", "{store}"],
)


@pytest.mark.parametrize("arguments", LIGHT, ids=lambda a: " ".join(a[:2]))
def test_the_command_loads_no_model_library_before_it_is_needed(arguments: list[str], tmp_path: Path) -> None:
    words = ["hydra-rag", *(a.format(store=tmp_path / "store") for a in arguments)]
    code = (
        f"import sys\nsys.argv = {words!r}\nfrom hydra_rag_api.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass"
    )
    assert [m for m in loaded_after(code) if m != "pypdfium2"] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_exported_names_exist(package: str) -> None:
    module = importlib.import_module(package)
    names = getattr(module, "__all__", [])
    assert [name for name in names if not hasattr(module, name)] == []
    assert list(names) == sorted(set(names), key=list(names).index)


@pytest.mark.parametrize("package", PACKAGES)
def test_exported_names_of_every_module_exist(package: str) -> None:
    missing = []
    root = importlib.import_module(package)
    for info in pkgutil.walk_packages(root.__path__, prefix=f"{package}."):
        if ".versions." in info.name or info.name.endswith((".env", "__main__")):
            continue
        try:
            module = importlib.import_module(info.name)
        except errors.MissingExtraError:
            continue
        missing += [f"{info.name}.{n}" for n in getattr(module, "__all__", ()) if not hasattr(module, n)]
    assert missing == []


def error_classes() -> list[type[errors.HydraError]]:
    return [
        c
        for _, c in inspect.getmembers(errors, inspect.isclass)
        if issubclass(c, errors.HydraError) and c.__module__ == errors.__name__
    ]


def test_every_error_is_listed_and_has_a_code_and_an_exit_code() -> None:
    classes = error_classes()
    assert {c.__name__ for c in classes} == set(errors.__all__)
    text = inspect.getdoc(errors) or ""
    for c in classes:
        assert c.__name__ in text, f"{c.__name__} is missing in the tree of hydra_rag.errors"
        assert re.fullmatch(r"[a-z_]+", c.code)
        assert c.exit_code in {1, 2, 3, 75}
    codes = [c.code for c in classes]
    assert len(codes) == len(set(codes))


def test_the_version_is_told_once() -> None:
    import hydra_rag

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == hydra_rag.__version__


def command_tree(path: tuple[str, ...] = ()) -> set[str]:
    """Every ``hydra-rag`` command that the help lists, as ``"documents list"``."""
    from typer.main import get_command

    from hydra_rag_api.cli.app import app

    def walk(command: object, names: tuple[str, ...]) -> set[str]:
        children = getattr(command, "commands", None)
        if not children:
            return {" ".join(names)}
        return {" ".join(names)} | {n for key, c in children.items() for n in walk(c, (*names, key))}

    return walk(get_command(app), path) - {""}


def documents() -> list[str]:
    return ["README.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("document", documents())
def test_commands_shown_in_documents_exist(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"```(?:sh|bash|console|text)?\n(.*?)```", text, flags=re.DOTALL))
    shown = re.findall(r"^\s*(?:\$ )?hydra-rag ([a-z]+)(?: ([a-z]+))?", blocks, flags=re.MULTILINE)
    shown += re.findall(r"`hydra-rag ([a-z]+)(?: ([a-z]+))?[^`]*`", text)
    known = command_tree()
    groups = {name.split()[0] for name in known if " " in name}
    wrong = [(a, b) for a, b in shown if a not in known or (b and a in groups and f"{a} {b}" not in known)]
    assert wrong == []
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*##", makefile, flags=re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets


def test_links_in_documents_lead_somewhere() -> None:
    broken = []
    for document in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
            if not target.startswith(("http:", "https:")) and not (document.parent / target).exists():
                broken.append(f"{document.name}: {target}")
    assert broken == []
