"""How a command is declared: its own parameters, the common options it needs, and one way to fail."""

from __future__ import annotations

import functools
import inspect
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from hydra_rag.errors import HydraError
from hydra_rag_api.cli.output import Output

if TYPE_CHECKING:
    from hydra_rag.model import HydraModel
    from hydra_rag_agents.facade import HydraRAG
    from hydra_rag_api.settings import Settings

__all__ = ["Cli", "command"]

INTERRUPTED = 130


def _option(name: str, help_text: str, panel: str, kind: Any = str, **more: Any) -> Any:
    return Annotated[
        kind, typer.Option(name, *more.pop("short", ()), help=help_text, rich_help_panel=panel, **more)
    ]


_STORE, _MODEL, _OUTPUT = "Store options", "Model options", "Output options"
_GROUPS: dict[str, dict[str, tuple[Any, Any]]] = {
    "store": {
        "store": (
            _option("--store", "Folder of the store (default: HYDRA_RAG_STORE, else the user's data folder).",
                    _STORE, Path | None, metavar="DIR", file_okay=False), None),
        "tenant": (_option("--tenant", "Whose documents.", _STORE, str | None, metavar="NAME"), None),
        "collection": (
            _option("--collection", "Which collection.", _STORE, str | None, metavar="NAME"), None),
    },
    "model": {
        "model": (
            _option("--model", "nano (built in), a model folder, or a hub name such as org/model.",
                    _MODEL, str | None, metavar="NAME_OR_PATH"), None),
        "adapter": (
            _option("--adapter", "Retrieval adapter (default: the one beside the model).",
                    _MODEL, str | None, metavar="PATH"), None),
        "device": (
            _option("--device", "auto, cpu, cuda or cuda:N.", _MODEL, str | None, metavar="DEVICE"), None),
    },
    "output": {
        "as_json": (_option("--json", "Print one JSON document on stdout.", _OUTPUT, bool), False),
        "quiet": (_option("--quiet", "Say no more than needed.", _OUTPUT, bool, short=("-q",)), False),
        "verbose": (
            _option("--verbose", "Log more (-vv: all).", _OUTPUT, int, short=("-v",), count=True), 0),
        "debug": (_option("--debug", "Show the traceback of an error.", _OUTPUT, bool), False),
    },
}  # fmt: skip


@dataclass
class Cli:
    """What a running command has: where to print, and the settings with the command line on top."""

    out: Output
    debug: bool = False
    given: dict[str, Any] = field(default_factory=dict)

    @functools.cached_property
    def settings(self) -> Settings:
        from hydra_rag_api.settings import load_settings

        return load_settings(**self.given)

    @contextmanager
    def rag(self, *, create: bool = False) -> Iterator[HydraRAG]:
        """The engine; ``create``: make the store where there is none."""
        from hydra_rag_agents.facade import HydraRAG

        chosen = self.settings
        url = chosen.database_url.get_secret_value() if chosen.database_url else None
        with HydraRAG(
            chosen.store,
            chosen.model,
            chosen.adapter,
            tenant=chosen.tenant,
            collection=chosen.collection,
            device=chosen.device,
            dtype=chosen.dtype,
            database=url,
            cache_dir=chosen.cache_dir,
            pooling=chosen.pooling,
            first_stage=chosen.first_stage,
            create=create,
        ) as rag:
            yield rag

    @contextmanager
    def model(self) -> Iterator[HydraModel]:
        """The model alone, without a store."""
        from hydra_rag.model import HydraModel

        chosen = self.settings
        with HydraModel.load(
            chosen.model, chosen.adapter, chosen.device, dtype=chosen.dtype, cache_dir=chosen.cache_dir
        ) as model:
            yield model


def command(
    app: typer.Typer, name: str, *, uses: tuple[str, ...] = (), hint: str = "", epilog: str | None = None
) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """Register ``function(cli, ...)``. It returns its exit code (``None``: 0).

    ``uses``: groups of common options ("store", "model"). ``hint``: what an interrupted user can do.
    """
    groups = [*uses, "output"]

    def register(function: Callable[..., Any]) -> Callable[..., None]:
        @functools.wraps(function)
        def wrapper(**values: Any) -> None:
            common = {key: values.pop(key) for group in groups for key in _GROUPS[group]}
            flags = {key: common.pop(key) for key in _GROUPS["output"]}
            out = Output(as_json=flags["as_json"], quiet=flags["quiet"], verbose=flags["verbose"])
            out.logging()
            code = _guarded(
                lambda: function(Cli(out, flags["debug"], common), **values), out, flags["debug"], hint
            )
            raise typer.Exit(code)

        own = list(inspect.signature(function).parameters.values())[1:]
        hints = get_type_hints(function, include_extras=True)
        kind = inspect.Parameter.KEYWORD_ONLY
        parameters = [p.replace(annotation=hints[p.name], kind=kind) for p in own]
        for group in groups:
            for key, (annotation, default) in _GROUPS[group].items():
                parameters.append(inspect.Parameter(key, kind, annotation=annotation, default=default))
        wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
        app.command(name, epilog=epilog)(wrapper)
        return wrapper

    return register


def _guarded(action: Callable[[], Any], out: Output, debug: bool, hint: str) -> int:
    try:
        return int(action() or 0)
    except HydraError as error:
        if debug:
            traceback.print_exc()
        out.error(error.code, error.message)
        return error.exit_code
    except KeyboardInterrupt:
        out.error("interrupted", f"Interrupted. {hint}".strip())
        return INTERRUPTED
    except (BrokenPipeError, typer.Exit, typer.Abort):
        raise
    except Exception as error:
        if debug:
            traceback.print_exc()
        more = "" if debug else " Run again with --debug to see where."
        out.error("internal", f"Something unexpected went wrong ({type(error).__name__}: {error}).{more}")
        return 3
