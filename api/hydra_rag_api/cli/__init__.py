"""The ``hydra-rag`` command. Starting it imports no torch; each command loads what it needs."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

__all__ = ["main", "run"]


def run(argv: Sequence[str] | None = None) -> int:
    """Run a command line; returns its exit code. Usage errors honour ``--json`` too."""
    from typer._click.exceptions import ClickException, NoArgsIsHelpError
    from typer.exceptions import Abort

    from hydra_rag_api.cli.app import app
    from hydra_rag_api.cli.output import Output

    args = list(sys.argv[1:] if argv is None else argv)
    try:
        code = app(args, prog_name="hydra-rag", standalone_mode=False)
        return int(code or 0)
    except NoArgsIsHelpError as error:
        error.show()
        return 2
    except ClickException as error:
        if "--json" in args:
            Output(as_json=True).error("usage", error.format_message())
        else:
            from typer.rich_utils import rich_format_error

            rich_format_error(error)
        return error.exit_code
    except Abort:
        return 130
    except BrokenPipeError:
        # The reader of our output went away (`| head`): keep the interpreter quiet at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def main() -> NoReturn:
    """Entry point of the console script."""

    def terminate(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, terminate)
    sys.exit(run())
