"""Printing tables: with lines and colour on a terminal, aligned by blanks elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from digitvae.parity.views.tables import Table


def print_table(table: Table) -> None:
    """Print a table of a parity report to standard output."""
    if not sys.stdout.isatty():
        click.echo(f"{table}\n")
        return
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
