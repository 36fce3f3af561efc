"""Tables of text, for terminals and for Markdown alike."""

from __future__ import annotations

from dataclasses import dataclass

from digitvae.base.markup import markdown


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
