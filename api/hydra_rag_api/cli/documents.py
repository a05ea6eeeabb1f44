"""Commands about documents: ingest, list, show, remove, check, index anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hydra_rag_api.cli.command import Cli, command
from hydra_rag_api.cli.output import safe
from hydra_rag_api.cli.progress import ingest_progress, page_progress
from hydra_rag_api.cli.telling import told_apart

if TYPE_CHECKING:
    from rich.console import Console

    from hydra_rag.store.records import DocumentInfo

__all__ = ["register"]

Paths = Annotated[
    list[Path], typer.Argument(help="Files, folders or patterns (quote patterns such as 'docs/**/*.pdf').")
]
DocumentId = Annotated[str, typer.Argument(metavar="ID", help="Id of a document (see `documents list`).")]
DocumentIds = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of documents.")]
Ocr = Annotated[str | None, typer.Option("--ocr", metavar="auto|always|model|never",
                help="Text of scans: by the ocr extra where it is installed, else by the model (auto); "
                     "by the extra (always); by the model (model); none (never).")]  # fmt: skip
_TEXT = {None: "", "layer": "in the file", "ocr": "recognised (ocr)", "model": "read by the model"}
Force = Annotated[bool, typer.Option("--force", help="Read files again that have not changed.")]
Include = Annotated[list[str] | None, typer.Option("--include", metavar="PATTERN", help="Only such files.")]
Exclude = Annotated[list[str] | None, typer.Option("--exclude", metavar="PATTERN", help="No such files.")]
Repair = Annotated[bool, typer.Option("--repair", help="Mend what can be mended.")]


def register(app: typer.Typer) -> None:
    _ingest(app)
    group = typer.Typer(
        help="List, show and remove documents.", no_args_is_help=True, rich_markup_mode="rich"
    )
    app.add_typer(group, name="documents")
    _documents(group)
    _care(app)


def _ingest(app: typer.Typer) -> None:
    @command(
        app,
        "ingest",
        uses=("store", "model"),
        hint="What is listed by `hydra-rag documents list` is kept; run the same command again to go on.",
        epilog="Examples:  hydra-rag ingest manual.pdf scans/   ·   hydra-rag ingest 'docs/**/*.pdf' --json",
    )
    def ingest(
        cli: Cli,
        paths: Paths,
        ocr: Ocr = None,
        force: Force = False,
        include: Include = None,
        exclude: Exclude = None,
    ) -> int:
        """Read documents and index their pages.

        PDF files, images (PNG, JPEG, WebP, GIF, BMP, TIFF with many pages), text, Markdown, HTML, CSV, TSV,
        and Office files where LibreOffice is installed. Unchanged files are skipped, changed ones replaced.
        A file that can't be read fails alone; the others go on.
        """
        cli.given["ocr"] = ocr
        with cli.rag(create=True) as rag, ingest_progress(cli.out) as progress:
            results = rag.ingest(
                list(paths),
                progress=progress,
                ocr=cli.settings.ocr,
                force=force,
                include=include or (),
                exclude=exclude or (),
            )

        def human(console: Console) -> None:
            colours = {"indexed": "green", "replaced": "yellow", "unchanged": "dim", "failed": "bold red"}
            for result in results:
                console.print(f"[{colours[result.status]}]{result.status:>9}[/]  ", end="")
                pages = f"  ({result.pages} {'page' if result.pages == 1 else 'pages'})"
                console.print(safe(result.path) + ("" if result.status == "failed" else pages), markup=False)
                if result.error is not None:
                    console.print(safe(f"{'':11}{result.error.code}: {result.error.message}"), markup=False)
            if not results:
                console.print("No files found.")

        cli.out.result({"documents": [result.to_json() for result in results]}, human)
        return 1 if any(result.error is not None for result in results) else 0


def _documents(group: typer.Typer) -> None:
    @command(group, "list", uses=("store",))
    def list_documents(cli: Cli) -> None:
        """List the documents."""
        with cli.rag() as rag:
            found = rag.documents

        def human(console: Console) -> None:
            names = told_apart(found)
            rows = [(d.document_id, names[d.document_id], d.status, d.pages, _size(d.bytes)) for d in found]
            cli.out.table(console, ["ID", "DOCUMENT", "STATUS", ">PAGES", ">SIZE"], rows)

        cli.out.result({"documents": [_document_json(document) for document in found]}, human)

    @command(group, "show", uses=("store",))
    def show(cli: Cli, document: DocumentId) -> None:
        """Show a document and its pages."""
        with cli.rag() as rag:
            found = rag.collection.document(document)
        names = ("page", "width", "height", "label", "has_text", "text_source")
        pages: list[dict[str, Any]] = [{name: getattr(p, name) for name in names} for p in found.page_list]

        def human(console: Console) -> None:
            console.print(
                safe(f"{found.document}  ({found.status}, {_size(found.bytes)})"), style="bold", markup=False
            )
            rows = [
                (
                    p["page"],
                    f"{p['width']} × {p['height']}",
                    p["label"] or "",
                    _TEXT[p["text_source"]],
                )
                for p in pages
            ]
            cli.out.table(console, [">PAGE", "PIXELS", "LABEL", "TEXT"], rows)
            for failed in found.failed_pages:
                console.print(safe(f"page {failed.page} is missing: {failed.message}"), markup=False)

        missing = [failed.to_json() for failed in found.failed_pages]
        cli.out.result({**_document_json(found), "pages": pages, "failed_pages": missing}, human)

    @command(group, "remove", uses=("store",))
    def remove(cli: Cli, documents: DocumentIds) -> None:
        """Remove documents from the store (the original files stay)."""
        with cli.rag() as rag:
            rag.remove(documents)
        cli.out.result({"removed": documents}, lambda console: console.print(f"Removed {len(documents)}."))


def _care(app: typer.Typer) -> None:
    @command(app, "doctor", uses=("store", "model"))
    def doctor(cli: Cli, repair: Repair = False) -> int:
        """Check the store from end to end, and mend it with --repair.

        Exit code 1 when a problem is left.
        """
        with cli.rag() as rag:
            report = rag.collection.doctor(repair=repair).to_json()

        def human(console: Console) -> None:
            for problem in report["problems"]:
                console.print(f"{problem['code']}: {problem['message']}", markup=False)
            console.print(f"{'OK' if report['ok'] else 'Problems found'}: {report['pages']} pages, "
                          f"{report['segments']} segments.")  # fmt: skip

        cli.out.result(report, human)
        return 0 if report["ok"] else 1

    @command(
        app,
        "reindex",
        uses=("store", "model"),
        hint="The store still works with the old model; run the same command again to go on.",
    )
    def reindex(cli: Cli) -> None:
        """Embed all stored pages with another model or adapter (--model, --adapter) and switch to it."""
        with cli.rag() as rag, page_progress(cli.out, "Embedding") as progress:
            pages = rag.collection.reindex(progress)
            fingerprint = rag.model.fingerprint
        data = {"pages": pages, "fingerprint": fingerprint}
        cli.out.result(data, lambda console: console.print(f"Indexed {pages} pages anew."))


def _document_json(document: DocumentInfo) -> dict[str, Any]:
    return {
        "document_id": document.document_id,
        "document": document.document,
        "status": document.status,
        "pages": document.pages,
        "bytes": document.bytes,
        "added": document.added.isoformat(),
    }


def _size(count: int) -> str:
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"
