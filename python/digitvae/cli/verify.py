"""``digitvae verify``: does every form of a bundle compute what PyTorch computes?"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from pathlib import Path  # noqa: TC003 - typer evaluates the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from digitvae.cli import options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from digitvae.parity import ParityReport
    from digitvae.parity.tables import Table
    from digitvae.parity.verification import Progress


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="verify")(verify)


def verify(
    *,
    bundle: Annotated[
        Path | None,
        typer.Argument(metavar="[BUNDLE]", help="A bundle; by default the one that is shipped."),
    ] = None,
    draws: Annotated[
        int, options.number_option("--draws", 1, 10_000_000, "Prior draws to compare.")
    ] = 10_000,
    data: options.DataFolder = None,
    require_data: Annotated[
        bool, typer.Option("--require-data", help="Fail when the data set cannot be had.")
    ] = False,
    threads: Annotated[
        int, options.number_option("--threads", 1, 1024, "Threads of every runtime.")
    ] = 1,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON, as in parity.json.")
    ] = False,
) -> None:
    """Compare every exported form of a bundle with PyTorch and with float64 truth.

    Exits with 1 if anything deviates more than it may, and names it.
    """
    from digitvae.cli.train import require_torch

    require_torch(also=("onnx", "safetensors"))
    from digitvae.bundle import shipped_path
    from digitvae.errors import ParityError
    from digitvae.parity import verify as verify_bundle

    with _progress() as on_progress:
        report = verify_bundle(
            shipped_path() if bundle is None else bundle,
            draws=draws,
            data_root=data,
            threads=threads,
            require_data=require_data,
            on_progress=on_progress,
        )
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=2, ensure_ascii=False))
    else:
        _print_tables(report)
    if not report.passed:
        raise ParityError(report.summary())
    if not as_json:
        typer.echo(report.summary())


def _print_tables(report: ParityReport) -> None:
    from digitvae.parity.tables import tables

    for table in tables(report):
        if sys.stdout.isatty():
            _print_rich(table)
        else:
            typer.echo(f"{table}\n")


def _print_rich(table: Table) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(title=table.title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for i, name in enumerate(table.header):
        shown.add_column(name, justify="left" if i < table.left else "right")
    for row in table.rows:
        style = "bold red" if table.marks_failure(row) else ""
        # Text, not str: brackets in a finding are no markup.
        shown.add_row(*(Text(cell) for cell in row), style=style)
    Console().print(shown)


@contextmanager
def _progress() -> Iterator[Progress | None]:
    """A bar on stderr if it is a terminal; the number of steps is known only after a while."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")

        def show(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, description=what)

        yield show
