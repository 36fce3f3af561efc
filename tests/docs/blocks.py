"""The fenced blocks of the documentation, with what their marks say of them.

A mark is a comment above a block, which readers do not see:

    <!-- test: replace 50_000_000 by 5_000 -->              smaller numbers than the text has; also
                                                            several, with commas between
    <!-- test: given DIR = shipped bundle -->               what the page's folder has to hold
    <!-- test: file zoo.py -->                              save the block under that name
    <!-- test: tested by tests/packaging/test_package.py -->    nothing to do here
    <!-- test: parse because it takes an hour -->           commands: only whether they exist
    <!-- test: skip because ... -->                         the last resort; there may be few
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from tools.docs.markdown import FENCED, MARK

ROOT = Path(__file__).parents[2]
OUTSIDE = ("README.md", "CONTRIBUTING.md", "export/README.md", "cpp/examples/README.md")
"""Pages that are not in docs/."""
KINDS = ("replace", "given", "file", "tested by", "parse because", "skip because")


def pages() -> list[str]:
    """All pages, by their paths in the repository."""
    inside = sorted((ROOT / "docs").rglob("*.md"))
    return [*OUTSIDE, *(str(page.relative_to(ROOT)) for page in inside)]


def read(page: str) -> str:
    """The text of a page."""
    return (ROOT / page).read_text(encoding="utf-8")


class Block(NamedTuple):
    """A fenced block: where it is, and what is in it."""

    page: str
    line: int
    language: str
    code: str
    marks: dict[str, str]

    @property
    def place(self) -> str:
        """For messages."""
        return f"{self.page}:{self.line}"

    @property
    def replaced(self) -> str:
        """The code with the numbers that its marks give."""
        code = self.code
        for pair in filter(None, self.marks.get("replace", "").split(", ")):
            old, new = pair.split(" by ")
            assert old in code, f"{self.place}: {old} is not in the block"
            code = code.replace(old, new)
        return code

    @property
    def given(self) -> list[tuple[str, str]]:
        """Names of files and what they are to be."""
        pairs = filter(None, self.marks.get("given", "").split(", "))
        return [(name, kind) for name, kind in (pair.split(" = ") for pair in pairs)]

    @property
    def reason(self) -> str | None:
        """Why the block is not run; ``None``: it is."""
        return self.marks.get("skip because") or self.marks.get("parse because")


def blocks(page: str) -> list[Block]:
    """The blocks of a page, in their order."""
    text = read(page)
    found = []
    for match in FENCED.finditer(text):
        marks = {}
        start = match.start()
        for mark in reversed(list(MARK.finditer(text, 0, start))):
            if mark.end() != start:
                break
            kind, value = parse_mark(mark["mark"], page)
            marks[kind] = value
            start = mark.start()
        line = text.count("\n", 0, match.start()) + 1
        indent = re.compile(rf"^{match['indent']}", re.MULTILINE)
        code = indent.sub("", match["code"])
        found.append(Block(page, line, match["language"].strip(), code, marks))
    return found


def parse_mark(mark: str, page: str) -> tuple[str, str]:
    """The kind of a mark and what follows it."""
    for kind in KINDS:
        if mark.startswith(f"{kind} "):
            return kind, mark.removeprefix(kind).strip()
    raise AssertionError(f"{page}: unknown mark {mark!r}")
