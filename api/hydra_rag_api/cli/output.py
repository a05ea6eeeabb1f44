"""What commands print: results on stdout, everything else on stderr; one JSON document with --json."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Output", "error_json", "safe"]

# Names of files and words of models go to terminals: no escape sequences among them.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def safe(text: object) -> str:
    """Text without characters that steer a terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(text))


def error_json(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def _write(data: Any) -> None:
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, default=str)
    # Names that are not Unicode, in arguments or in file names, are no reason to say nothing.
    sys.stdout.write(text.encode("utf-8", "replace").decode() + "\n")
    sys.stdout.flush()


class Output:
    """``as_json``: one document on stdout. ``quiet``: no progress. ``verbose``: 0 to 2, amount of log."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False, verbose: int = 0) -> None:
        self.as_json, self.quiet, self.verbose = as_json, quiet, verbose
        self._consoles: dict[bool, Console] = {}

    def console(self, *, stderr: bool = False) -> Console:
        """A rich console; it knows terminals and NO_COLOR by itself."""
        if stderr not in self._consoles:
            from rich.console import Console

            self._consoles[stderr] = Console(stderr=stderr, highlight=False, soft_wrap=not stderr)
        return self._consoles[stderr]

    @property
    def live(self) -> bool:
        """Whether progress bars make sense."""
        return not self.quiet and sys.stderr.isatty()

    def result(self, data: Any, human: Callable[[Console], None]) -> None:
        """The command's result: ``data`` with --json, else what ``human`` prints."""
        if self.as_json:
            _write(data)
        else:
            human(self.console())

    def note(self, text: str) -> None:
        """A remark for people, on stderr."""
        if not self.quiet:
            self.console(stderr=True).print(safe(text), style="dim", markup=False)

    def error(self, code: str, message: str) -> None:
        """An error that ends the command."""
        if self.as_json:
            _write(error_json(code, message))
        from rich.text import Text

        self.console(stderr=True).print(
            Text("Error: ", style="bold red") + Text(safe(message), style="default")
        )

    def table(self, console: Console, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in headings:
            right = heading.startswith(">")
            table.add_column(heading.lstrip(">"), justify="right" if right else "left", overflow="fold")
        for row in rows:
            table.add_row(*(Text(safe(cell)) for cell in row))
        console.print(table)

    def logging(self) -> None:
        """Log records to stderr: warnings, with -v also information, with -vv everything."""
        level = [logging.WARNING, logging.INFO, logging.DEBUG][min(2, self.verbose)]
        if self.verbose < 2:
            # Read when the library is imported, which is later.
            os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        logging.basicConfig(
            level=logging.ERROR if self.quiet else level,
            stream=sys.stderr,
            format="%(levelname)s %(name)s: %(message)s",
            force=True,
        )
