"""Tables: as text, as Markdown and, in ``digitvae.cli.tables``, on a terminal."""

from __future__ import annotations

from dataclasses import dataclass

from digitvae.base.markup import markdown
from digitvae.base.text import printable

ALARM = "FAILED"
"""A row that has this cell stands out where there is colour."""


@dataclass(frozen=True)
class Table:
    """Cells under a header and a title.

    Attributes:
        title: What the numbers are.
        header: Names of the columns; the first ``left`` of them hold words.
        rows: Cells.
        left: Number of columns that are not numbers.
        note: A line below.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    note: str = ""

    def __str__(self) -> str:
        """As lines of text, columns aligned with blanks."""
        lines = [tuple(map(printable, line)) for line in (self.header, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        aligned = (
            "  ".join(
                cell.ljust(width) if i < self.left else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        )
        return "\n".join([printable(self.title), *(f"  {line}".rstrip() for line in aligned)])

    def markdown(self) -> str:
        """As Markdown, with an empty line at the end; what is not Markdown is escaped."""
        rule = ["---" if i < self.left else "---:" for i in range(len(self.header))]
        lines = [f"**{markdown(self.title)}**", "", _line(self.header), "|" + "|".join(rule) + "|"]
        lines += [_line(row) for row in self.rows]
        if self.note:
            lines += ["", markdown(self.note)]
        return "\n".join(lines) + "\n"


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(map(markdown, cells)) + " |"
