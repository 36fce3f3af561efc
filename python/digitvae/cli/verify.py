"""``digitvae verify``: does every form of a bundle compute what PyTorch computes?"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from digitvae.cli import options
from digitvae.cli.progress import steps

if TYPE_CHECKING:
    from pathlib import Path

    from digitvae.parity import ParityReport
    from digitvae.parity.tables import Table


@click.command()
@click.argument("bundle", type=options.PATH, required=False)
@options.number("--draws", low=1, high=10_000_000, default=10_000, help="Prior draws to compare.")
@options.data
@click.option("--require-data", is_flag=True, help="Fail when the data set cannot be had.")
@options.number("--threads", low=1, high=1024, default=1, help="Threads of every runtime.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the report as JSON, as in parity.json."
)
def verify(
    *,
    bundle: Path | None,
    draws: int,
    data: Path | None,
    require_data: bool,
    threads: int,
    as_json: bool,
) -> None:
    """Compare every exported form of a bundle with PyTorch and with float64 truth.

    Without BUNDLE: the one that is shipped.

    Exits with 1 if anything deviates more than it may, and names it.
    """
    from digitvae.cli.train import require_torch

    require_torch(also=("onnx", "safetensors"))
    from digitvae.bundle import shipped_path
    from digitvae.errors import ParityError
    from digitvae.parity import verify as verify_bundle

    with steps() as on_progress:
        report = verify_bundle(
            shipped_path() if bundle is None else bundle,
            draws=draws,
            data_root=data,
            threads=threads,
            require_data=require_data,
            on_progress=on_progress,
        )
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=2, ensure_ascii=False))
    else:
        _print_tables(report)
    if not report.passed:
        raise ParityError(report.summary())
    if not as_json:
        click.echo(report.summary())


def _print_tables(report: ParityReport) -> None:
    from digitvae.parity.tables import tables

    for table in tables(report):
        if sys.stdout.isatty():
            _print_rich(table)
        else:
            click.echo(f"{table}\n")


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
