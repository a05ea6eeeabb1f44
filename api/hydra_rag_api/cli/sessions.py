"""Commands about conversations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hydra_rag_api.cli.command import Cli, command
from hydra_rag_api.cli.output import safe

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["register"]

SessionId = Annotated[str, typer.Argument(metavar="ID", help="Id of a session (see `sessions list`).")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="Look at earlier questions and answers, and replay them.",
        no_args_is_help=True,
        rich_markup_mode="rich",
    )
    app.add_typer(group, name="sessions")

    @command(group, "list", uses=("store",))
    def list_sessions(cli: Cli) -> None:
        """List the sessions, newest first."""
        from hydra_rag_agents.history import session_json

        with cli.rag() as rag:
            found = [session_json(session) for session in rag.sessions]

        def human(console: Console) -> None:
            rows = [
                (s["session_id"], s["turns"], s["updated"][:16].replace("T", " "), s["title"]) for s in found
            ]
            cli.out.table(console, ["ID", ">TURNS", "LAST", "FIRST QUESTION"], rows)

        cli.out.result({"sessions": found}, human)

    @command(group, "show", uses=("store",))
    def show(cli: Cli, session: SessionId) -> None:
        """Show the turns of a session: questions, answers, citations and steps."""
        from hydra_rag_agents.history import turn_json

        with cli.rag() as rag:
            turns = [turn_json(turn) for turn in rag.conversation.turns(session)]

        def human(console: Console) -> None:
            for turn in turns:
                console.print(safe(f"› {turn['question']}"), style="bold", markup=False)
                console.print(safe(f"  {turn['answer'] or '(' + turn['status'] + ')'}"), markup=False)
                for c in turn["citations"]:
                    console.print(safe(f"  {c['document']}, page {c['page']}"), style="cyan", markup=False)
                console.print(
                    "  " + " → ".join(s["action"] for s in turn["steps"]), style="dim", markup=False
                )

        cli.out.result({"session_id": session, "turns": turns}, human)

    @command(group, "remove", uses=("store",))
    def remove(cli: Cli, session: SessionId) -> None:
        """Remove a session with all its turns."""
        with cli.rag() as rag:
            rag.conversation.remove(session)
        cli.out.result({"removed": [session]}, lambda console: console.print("Removed."))

    @command(group, "replay", uses=("store", "model"))
    def replay(
        cli: Cli,
        session: SessionId,
        turn: Annotated[str | None, typer.Option("--turn", metavar="ID", help="Only this turn.")] = None,
    ) -> int:
        """Run stored turns again with their stored settings and compare. Exit code 1 where they differ."""
        with cli.rag() as rag:
            turns = rag.replay(session, turn)

        def human(console: Console) -> None:
            for entry in turns:
                console.print(
                    "same   " if entry["same"] else "DIFFERS",
                    style="green" if entry["same"] else "red",
                    end="",
                )
                console.print(safe(f"  {entry['question']}"), markup=False)
                if not entry["same"]:
                    console.print(safe(f"         then: {entry['answer']}"), markup=False)
                    console.print(safe(f"         now:  {entry['replay']['answer']}"), markup=False)
                if entry["reason"]:
                    console.print(safe(f"         {entry['reason']}"), style="dim", markup=False)

        same = all(entry["same"] for entry in turns)
        cli.out.result({"session_id": session, "same": same, "turns": turns}, human)
        return 0 if same else 1
