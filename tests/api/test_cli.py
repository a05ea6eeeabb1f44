"""The command's contract: JSON shapes, exit codes, nothing heavy before it is needed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hydra_rag_api.settings import load_settings
from tests.api.conftest import Command, draw

COMMANDS = [
    [],
    ["ingest"],
    ["search"],
    ["ask"],
    ["chat"],
    ["documents"],
    ["documents", "list"],
    ["documents", "show"],
    ["documents", "remove"],
    ["sessions"],
    ["sessions", "list"],
    ["sessions", "show"],
    ["sessions", "remove"],
    ["sessions", "replay"],
    ["doctor"],
    ["reindex"],
    ["model", "check"],
    ["db", "upgrade"],
    ["db", "current"],
    ["keys", "create"],
    ["keys", "list"],
    ["keys", "revoke"],
    ["config", "show"],
    ["eval"],
    ["train", "nano"],
    ["train", "adapter"],
]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(command: Command, path: list[str]) -> None:
    ran = command(*path, "--help")
    assert ran.code == 0
    assert "Usage: hydra-rag" in ran.out
    assert ran.err == ""


HEAVY = {"torch", "transformers", "peft", "faiss", "sqlalchemy", "numpy", "PIL"}


def heavy_modules(*args: str) -> set[str]:
    """Which heavy libraries a command line imports, in a process of its own."""
    script = (
        "import sys; from hydra_rag_api.cli import run\n"
        f"code = run({list(args)!r})\n"
        f"heavy = {HEAVY!r} & set(sys.modules)\n"
        "print('HEAVY', code, *sorted(heavy), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    words = done.stderr.strip().splitlines()[-1].split()
    assert words[:2] == ["HEAVY", "0"], done.stderr
    return set(words[2:])


def test_help_imports_nothing_heavy() -> None:
    assert heavy_modules("--help") == set()
    assert heavy_modules("ask", "--help") == set()


def test_listing_documents_and_sessions_loads_no_model(made: tuple[Path, Path]) -> None:
    for group in ("documents", "sessions"):
        heavy = heavy_modules(group, "list", "--store", str(made[1]))
        assert not heavy & {"torch", "transformers", "peft", "faiss"}


def test_version(command: Command) -> None:
    assert command("--version").out.startswith("hydra-rag ")


@pytest.mark.parametrize(
    "args",
    [
        ["ask", "--json"],
        ["nonsense", "--json"],
        ["ask", "Total?", "--mode", "by-magic", "--json"],
        ["ask", "Total?", "--gaze", "sometimes", "--json"],
        ["ask", "  ", "--json"],
        ["search", "--json"],
        ["search", "x", "-k", "0", "--json"],
        ["search", "--image", "/nowhere.png", "--json"],
        ["eval", "--json"],
        ["eval", "/nowhere", "--json"],
        ["documents", "show", "unknown", "--json"],
        ["documents", "remove", "unknown", "--json"],
        ["sessions", "show", "unknown", "--json"],
        ["ask", "Total?", "--session", "unknown", "--json"],
        ["ask", "Total?", "--document", "unknown", "--json"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_2_and_one_json_document(
    command: Command, made: tuple[Path, Path], tiny: Path, args: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYDRA_RAG_STORE", str(made[1]))
    monkeypatch.setenv("HYDRA_RAG_MODEL", str(tiny))
    ran = command(*args)
    assert ran.code == 2
    assert set(ran.json) == {"error"}
    assert set(ran.json["error"]) == {"code", "message"}
    assert "Traceback" not in ran.out + ran.err


@pytest.mark.parametrize(
    "args",
    [
        ["documents", "list", "--store", "/nowhere/at/all"],
        ["search", "x", "--store", "/nowhere/at/all"],
        ["db", "current", "--store", "/nowhere/at/all"],
        ["model", "check", "--model", "/nowhere"],
    ],
    ids=" ".join,
)
def test_a_store_or_model_that_cannot_be_used_is_exit_3(command: Command, args: list[str]) -> None:
    ran = command(*args, "--json")
    assert ran.code == 3
    assert ran.json["error"]["code"] in ("store", "model_not_found")
    human = command(*args)
    assert (human.code, human.out) == (3, "")
    assert "Error:" in human.err
    assert "Traceback" not in human.err


def test_settings_that_are_wrong_say_so(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HYDRA_RAG_MODE", "by-magic")
    ran = command("config", "show", "--json")
    assert ran.code == 2
    assert "mode" in ran.json["error"]["message"]
    monkeypatch.delenv("HYDRA_RAG_MODE")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hydra_rag.toml").write_text("stroe = 'x'\n", encoding="utf-8")
    assert command("config", "show").code == 2
    (tmp_path / "hydra_rag.toml").write_text("= broken", encoding="utf-8")
    assert command("config", "show").code == 2


def test_settings_come_from_options_then_environment_then_files(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_RAG_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config.toml").write_text("model = 'user'\ntenant = 'user'\ndevice = 'cpu'\n")
    (tmp_path / "hydra_rag.toml").write_text("model = 'project'\ntenant = 'project'\n")
    monkeypatch.setenv("HYDRA_RAG_TENANT", "variable")
    monkeypatch.setenv("HYDRA_RAG_DATABASE_URL", "postgresql://someone:secret@host/db")
    ran = command("config", "show", "--collection", "option", "--json")
    values = ran.json["settings"]
    assert (values["device"], values["model"]) == ("cpu", "project")
    assert (values["tenant"], values["collection"]) == ("variable", "option")
    assert values["store"] == str(tmp_path / "home" / "store")
    assert "secret@" not in ran.out


@pytest.mark.parametrize("given", ["a.example, B.example", None])
def test_names_of_the_server_come_from_a_variable_or_a_file(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    if given is None:
        (tmp_path / "hydra_rag.toml").write_text("[server]\nhosts = ['a.example', 'B.example']\n")
    else:
        monkeypatch.setenv("HYDRA_RAG_SERVER__HOSTS", given)
    settings = load_settings().server
    assert settings.host_names == {"a.example", "b.example"}
    shown = " ".join(command("config", "show").out.split())
    assert "server.hosts" in shown
    assert "server.port 8000 port to listen on" in shown


def test_unexpected_errors_show_a_traceback_only_with_debug(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hydra_rag_api.cli.command as module

    monkeypatch.setattr(module.Cli, "settings", property(lambda self: 1 / 0))
    ran = command("documents", "list", "--json")
    assert ran.code == 3
    assert ran.json["error"]["code"] == "internal"
    assert "Traceback" not in ran.err
    assert "Traceback" in command("documents", "list", "--debug").err


def test_interrupting_is_exit_130_with_a_hint(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    import hydra_rag_api.cli.command as module

    def interrupt(self: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module.Cli, "settings", property(interrupt))
    ran = command("ingest", ".")
    assert ran.code == 130
    assert "again" in ran.err


def test_files_that_cannot_be_read_are_exit_1_and_the_rest_goes_on(
    command: Command, tiny: Path, tmp_path: Path
) -> None:
    good = draw(tmp_path / "good.png", ["Hello"])
    bad = tmp_path / "bad.pdf"
    bad.write_bytes(b"%PDF-1.7 and nothing more")
    ran = command("ingest", good, bad, "--store", tmp_path / "s", "--model", tiny, "--ocr", "never", "--json")
    assert ran.code == 1
    results = {Path(entry["path"]).name: entry for entry in ran.json["documents"]}
    assert set(results["good.png"]) == {"path", "document_id", "pages", "status", "error"}
    assert (results["good.png"]["status"], results["good.png"]["error"]) == ("indexed", None)
    assert results["bad.pdf"]["status"] == "failed"
    assert set(results["bad.pdf"]["error"]) == {"code", "message"}
    assert "Traceback" not in ran.err


def test_names_with_escape_sequences_do_not_reach_the_terminal(
    command: Command, tiny: Path, tmp_path: Path
) -> None:
    evil = draw(tmp_path / "x\x1b[31mred.png", ["Hello"])
    ran = command("ingest", evil, "--store", tmp_path / "s", "--model", tiny, "--ocr", "never")
    assert ran.code == 0
    listed = command("documents", "list", "--store", tmp_path / "s")
    assert "\x1b" not in ran.out + ran.err + listed.out


def test_keys(command: Command, store: Path) -> None:
    made = command("keys", "create", "--tenant", "a", "--name", "web", "--store", store, "--json").json
    assert made["secret"].startswith("hyd_")
    listed = command("keys", "list", "--tenant", "a", "--store", store, "--json")
    assert [key["key_id"] for key in listed.json["keys"]] == [made["key_id"]]
    assert made["secret"] not in listed.out
    assert command("keys", "list", "--tenant", "b", "--store", store, "--json").json == {"keys": []}
    assert command("keys", "revoke", made["key_id"], "--tenant", "b", "--store", store).code == 2
    assert command("keys", "revoke", made["key_id"], "--tenant", "a", "--store", store).code == 0


def test_database_revision(command: Command, store: Path) -> None:
    current = command("db", "current", "--store", store, "--json").json
    assert current["up_to_date"]
    assert command("db", "upgrade", "--store", store, "--json").json["revision"] == current["head"]


def test_the_installed_command_speaks_json_on_stdout_only(store: Path, tiny: Path) -> None:
    script = Path(sys.executable).with_name("hydra-rag")
    ask = ["ask", "What is the total?", "--store", str(store), "--model", str(tiny), "--json"]
    done = subprocess.run([str(script), *ask], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] in ("answered", "not_found")
