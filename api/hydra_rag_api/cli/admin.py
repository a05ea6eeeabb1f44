"""Commands for whoever runs it: model check, database, keys, configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hydra_rag.errors import StoreError
from hydra_rag_api.cli import answering, gaze
from hydra_rag_api.cli.command import Cli, command

if TYPE_CHECKING:
    from rich.console import Console
    from sqlalchemy import Engine

    from hydra_rag.store.records import ApiKey

__all__ = ["register"]


def _group(app: typer.Typer, name: str, help_text: str) -> typer.Typer:
    group = typer.Typer(help=help_text, no_args_is_help=True, rich_markup_mode="rich")
    app.add_typer(group, name=name)
    return group


def register(app: typer.Typer) -> None:
    model = _group(app, "model", "Look after the model.")
    _model(model)
    gaze.register(model)
    answering.register(model)
    _database(_group(app, "db", "Look after the database schema."))
    _keys(_group(app, "keys", "Access keys of tenants, for servers."))
    _config(_group(app, "config", "Look at the settings."))


def _model(group: typer.Typer) -> None:
    @command(group, "check", uses=("model",))
    def check(cli: Cli) -> int:
        """Prove that the loaded model does what it should.

        Answers as the plain model does, embeds independently of the batch, one set of weights in memory.
        Exit code 3 when a check fails.
        """
        from hydra_rag.check import check_model

        with cli.model() as model:
            checks = check_model(model)
            report = {"ok": all(item["ok"] for item in checks), "checks": checks, "memory": model.memory()}

        def human(console: Console) -> None:
            for item in checks:
                console.print(
                    "ok  " if item["ok"] else "FAIL", style="green" if item["ok"] else "bold red", end=""
                )
                console.print(f"  {item['name']}: {item['detail']}", markup=False)
            memory: Any = report["memory"]
            share = memory["unique_bytes"] / max(1, memory["two_models_bytes"])
            console.print(
                f"memory: {memory['unique_bytes'] / 1e6:.1f} MB, {share:.2f} of two separate models"
            )

        cli.out.result(report, human)
        return 0 if report["ok"] else 3


def _database(group: typer.Typer) -> None:
    @command(group, "upgrade", uses=("store",))
    def upgrade(cli: Cli) -> None:
        """Bring the database to this program's schema (every command does so when it opens a store)."""
        import hydra_rag_migrations as migrations

        with _engine(cli) as engine:
            before = migrations.current(engine)
            after = migrations.upgrade(engine)
        data = {"before": before, "revision": after}
        cli.out.result(data, lambda console: console.print(f"{before or 'empty'} → {after}"))

    @command(group, "current", uses=("store",))
    def current(cli: Cli) -> None:
        """Show the database's schema revision and the newest one."""
        import hydra_rag_migrations as migrations

        with _engine(cli) as engine:
            revision, head = migrations.current(engine), migrations.head()
        data = {"revision": revision, "head": head, "up_to_date": revision == head}
        text = f"{revision or 'empty'} (newest: {head})"
        cli.out.result(data, lambda console: console.print(text))


@contextmanager
def _engine(cli: Cli) -> Iterator[Engine]:
    """The database alone, opened without bringing its schema up to date."""
    from hydra_rag.store.engine import make_engine

    chosen = cli.settings
    url = chosen.database_url.get_secret_value() if chosen.database_url else None
    if url is None and not chosen.store.is_dir():
        raise StoreError(f"There is no store at {chosen.store}: check --store or ingest something first.")
    engine = make_engine(url, chosen.store)
    try:
        yield engine
    finally:
        engine.dispose()


def _keys(group: typer.Typer) -> None:
    @command(group, "create", uses=("store",))
    def create(
        cli: Cli, name: Annotated[str, typer.Option("--name", help="A name to know the key by.")] = ""
    ) -> None:
        """Make a key for a tenant. Its secret is shown once."""
        from hydra_rag.store import keys

        with cli.rag(create=True) as rag:
            key = keys.create_key(rag.store, rag.tenant, name)
        cli.out.note("Keep it safe: it can't be shown again.")
        cli.out.result(
            {**_key_json(key), "secret": key.secret}, lambda console: console.print(str(key.secret))
        )

    @command(group, "list", uses=("store",))
    def list_keys(cli: Cli) -> None:
        """List a tenant's keys (never their secrets)."""
        from hydra_rag.store import keys

        with cli.rag() as rag:
            found = [_key_json(key) for key in keys.list_keys(rag.store, rag.tenant)]

        def human(console: Console) -> None:
            rows = [
                (k["key_id"], k["name"], k["created"][:10], "revoked" if k["revoked"] else "") for k in found
            ]
            cli.out.table(console, ["ID", "NAME", "CREATED", ""], rows)

        cli.out.result({"keys": found}, human)

    @command(group, "revoke", uses=("store",))
    def revoke(cli: Cli, key: Annotated[str, typer.Argument(metavar="ID", help="Id of the key.")]) -> None:
        """Make a key useless, at once and for good."""
        from hydra_rag.store import keys

        with cli.rag() as rag:
            keys.revoke_key(rag.store, rag.tenant, key)
        cli.out.result({"revoked": [key]}, lambda console: console.print("Revoked."))


def _key_json(key: ApiKey) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "tenant": key.tenant,
        "name": key.name,
        "created": key.created.isoformat(),
        "last_used": key.last_used.isoformat() if key.last_used else None,
        "revoked": key.revoked.isoformat() if key.revoked else None,
    }


def _rows(fields: Mapping[str, Any], values: Mapping[str, Any], section: str = "") -> list[tuple[Any, ...]]:
    return [
        (section + name, "" if values[name] is None else values[name], field.description or "")
        for name, field in fields.items()
    ]


def _config(group: typer.Typer) -> None:
    @command(group, "show", uses=("store", "model"))
    def show(cli: Cli) -> None:
        """Show the effective settings, what each means, and the files they may come from."""
        from hydra_rag_api.server.limits import ServerSettings
        from hydra_rag_api.settings import PROJECT_FILE, Settings, user_config_file

        chosen = cli.settings
        values = chosen.model_dump(mode="json")
        files = [str(path) for path in (Path(PROJECT_FILE), user_config_file()) if path.is_file()]

        def human(console: Console) -> None:
            rows = [row for row in _rows(Settings.model_fields, values) if row[0] != "server"]
            rows += _rows(ServerSettings.model_fields, values["server"], "server.")
            cli.out.table(console, ["SETTING", "VALUE", "MEANING"], rows)
            console.print(
                f"Files read: {', '.join(files) or 'none'}. "
                "Variables: HYDRA_RAG_STORE, HYDRA_RAG_SERVER__PORT and so on.",
                style="dim",
            )

        cli.out.result({"settings": values, "files": files}, human)

    @command(group, "path")
    def path(cli: Cli) -> None:
        """Show where the user's configuration file belongs."""
        from hydra_rag_api.settings import user_config_file

        where = str(user_config_file())
        cli.out.result({"path": where}, lambda console: console.print(where))
