"""Tables on a terminal: with lines, and in colour where something failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digitvae.base.text import printable

if TYPE_CHECKING:
    from digitvae.base.tables import Table  # whose patterns take 6 ms to compile


def print_table(table: Table) -> None:
    """Print a table to standard output, which is a terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    from digitvae.base.tables import ALARM

    shown = RichTable(
        title=Text(printable(table.title)),
        title_justify="left",
        title_style="bold",
        caption=Text(printable(table.note)) if table.note else None,
        caption_justify="left",
        box=SIMPLE_HEAD,
    )
    for i, name in enumerate(table.header):
        shown.add_column(Text(printable(name)), justify="left" if i < table.left else "right")
    for row in table.rows:
        # Text, not str: brackets in a cell are no markup.
        style = "bold red" if ALARM in row else ""
        shown.add_row(*(Text(printable(cell)) for cell in row), style=style)
    Console().print(shown)
