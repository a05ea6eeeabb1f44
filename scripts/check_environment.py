"""What scripts/extras.sh asks of an environment.

extra NAME      the modules of that extra import, with nothing else installed
record FILE     write down every file of every installed package
compare FILE    hydra-rag has come in: those files are unchanged, and it owns none of them
intact FILE     it has gone again: those files are still unchanged
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

MODULES = {
    "server": ["hydra_rag_api.server.app", "hydra_rag_api.server.run", "hydra_rag_api.web.pages"],
    "langchain": ["hydra_rag_agents.langchain", "hydra_rag_agents.remote"],
    "mcp": ["hydra_rag_api.mcp_server"],
    "ocr": ["rapidocr"],
    "postgres": ["psycopg"],
    "heif": ["pi_heif"],
    "train": ["hydra_rag.training", "reportlab", "fontTools", "matplotlib"],
}
NAMES = ["HydraRetriever", "HydraSearchTool", "HydraAskTool"]
OURS = "hydra-rag"


def files_of(name: str) -> set[str]:
    """Paths of a package's files, relative to the environment's packages."""
    return {str(path) for path in metadata.files(name) or () if not str(path).startswith("..")}


def digests() -> dict[str, str]:
    """SHA-256 of the files of all packages in this environment's own folder, ours left out."""
    site = Path(sysconfig.get_path("purelib"))
    out = {}
    for package in metadata.distributions(path=[str(site)]):
        if package.name in (OURS, "pip", "setuptools"):
            continue
        for path in package.files or ():
            place = site / str(path)
            if place.is_file() and "__pycache__" not in place.parts:
                out[str(path)] = hashlib.sha256(place.read_bytes()).hexdigest()
    return out


def extra(name: str) -> None:
    for module in MODULES[name]:
        importlib.import_module(module)
    if name == "langchain":
        found = importlib.import_module("hydra_rag_agents.langchain")
        for kind in NAMES:
            getattr(found, kind)
    print(f"   {name}: {', '.join(MODULES[name])}")


def unchanged(before: dict[str, str]) -> None:
    now = digests()
    changed = sorted(path for path, digest in before.items() if now.get(path) != digest)
    if changed:
        raise SystemExit(f"{len(changed)} files of other packages were changed: {changed[:10]}")


def compare(before: dict[str, str]) -> None:
    unchanged(before)
    shared = sorted(files_of(OURS) & set(before))
    if shared:
        raise SystemExit(f"{len(shared)} files belong to two packages: {shared[:10]}")
    tops = sorted({path.split("/")[0] for path in files_of(OURS) if path.endswith(".py")})
    if not all(top.startswith("hydra_rag") for top in tops):
        raise SystemExit(f"top-level names that are not ours: {tops}")
    for name in ("agents", "langchain_openai", "langgraph.graph", "hydra_rag_agents.langchain", "hydra_rag"):
        importlib.import_module(name)
    agents = sys.modules["agents"]
    if not hasattr(agents, "Runner"):
        raise SystemExit(f"`agents` is not openai-agents but {agents.__file__}")
    print(f"   {len(before)} files of other packages unchanged; ours: {', '.join(tops)}")


def main() -> None:
    what, argument = sys.argv[1:]
    if what == "extra":
        extra(argument)
    elif what == "record":
        Path(argument).write_text(json.dumps(digests()), encoding="utf-8")
    else:
        before = json.loads(Path(argument).read_text(encoding="utf-8"))
        compare(before) if what == "compare" else unchanged(before)


if __name__ == "__main__":
    main()
