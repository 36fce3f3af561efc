"""Tables on a terminal: with lines, and in colour where something failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from digitvae.base.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Table(Protocol):
    """A title, the names of the columns, and cells; the first ``left`` columns hold words."""

    @property
    def title(self) -> str:
        """What stands above it."""

    @property
    def header(self) -> Sequence[str]:
        """Names of the columns."""

    @property
    def rows(self) -> Sequence[Sequence[str]]:
        """Cells, row by row."""

    @property
    def left(self) -> int:
        """How many columns are words, and not numbers."""


def print_table(
    table: Table, *, note: str = "", style: Callable[[Sequence[str]], str] = lambda _: ""
) -> None:
    """Print a table to standard output, which is a terminal.

    Args:
        table: The table.
        note: Stands below it.
        style: Rich's style of a row.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(
        title=Text(printable(table.title)),
        title_justify="left",
        title_style="bold",
        caption=Text(printable(note)) if note else None,
        caption_justify="left",
        box=SIMPLE_HEAD,
    )
    for i, name in enumerate(table.header):
        shown.add_column(Text(printable(name)), justify="left" if i < table.left else "right")
    for row in table.rows:
        # Text, not str: brackets in a cell are no markup.
        shown.add_row(*(Text(printable(cell)) for cell in row), style=style(row))
    Console().print(shown)
