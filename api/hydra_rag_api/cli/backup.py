"""Commands ``backup`` and ``restore``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hydra_rag_api.cli.command import Cli, command

if TYPE_CHECKING:
    from hydra_rag_indexing.backup import BackupReport

__all__ = ["register"]

Target = Annotated[
    Path, typer.Argument(metavar="DIR", help="A folder that does not exist yet, or an empty one.")
]
Source = Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `hydra-rag backup` made.")]


def register(app: typer.Typer) -> None:
    @command(app, "backup", uses=("store",))
    def backup(cli: Cli, directory: Target) -> None:
        """Copy the whole store, all tenants, with checksums. Nothing has to stop for it."""
        from hydra_rag_indexing.backup import backup as back_up

        with cli.rag() as rag:
            report = back_up(rag.store, directory)
        _say(cli, report, "Saved")

    @command(app, "restore", uses=("store",))
    def restore(cli: Cli, directory: Source) -> None:
        """Make the store (--store, which must not exist yet) from a backup, comparing every checksum."""
        from hydra_rag_indexing.backup import restore as bring_back

        _say(cli, bring_back(directory, cli.settings.store), "Restored")


def _say(cli: Cli, report: BackupReport, what: str) -> None:
    text = f"{what} {report.files} files, {report.bytes / 1e6:.1f} MB, in {report.directory} ({report.made})."
    cli.out.result(report.to_json(), lambda console: console.print(text, markup=False))
