"""What the site's hooks and the tests read in Markdown: fenced blocks, marks, links, anchors."""

from __future__ import annotations

import posixpath
import re
from typing import NamedTuple
from urllib.parse import unquote

FENCED = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,})(?P<language>[^\n`]*)\n"
    r"(?P<code>.*?)^(?P=indent)(?P=fence)`* *$",
    re.MULTILINE | re.DOTALL,
)
"""A fenced block of code."""
MARK = re.compile(r"^ *<!-- test: (?P<mark>.*?) -->\n", re.MULTILINE)
"""What a test is to know of the block below; readers do not see it."""
LINK = re.compile(r"(?P<before>\]\()(?P<target>[^)\s]+)(?P<after>\))")
"""The target of an inline link or image."""
_HEADING = re.compile(r"^#{1,6} (?P<title>.*?) *$", re.MULTILINE)


class Link(NamedTuple):
    """The target of a link, in two parts; the anchor begins with ``#`` or is empty."""

    path: str
    anchor: str

    @classmethod
    def parse(cls, target: str) -> Link:
        """Split a target."""
        path, mark, anchor = target.partition("#")
        return cls(path, mark + anchor)

    @property
    def is_elsewhere(self) -> bool:
        """Whether it leads to another host."""
        return re.match(r"[a-z][a-z0-9+.-]*:", self.path) is not None

    def path_from(self, place: str) -> str | None:
        """The linked file, from the root, of a link in the file `place`; ``None``: not a file."""
        if self.is_elsewhere or not self.path:
            return None
        return posixpath.normpath(posixpath.join(posixpath.dirname(place), unquote(self.path)))


def prose(text: str) -> str:
    """Markdown without its fenced blocks."""
    return FENCED.sub("", text)


def anchors(text: str) -> set[str]:
    """The anchors of the headings, as the site and the hosts of repositories make them."""
    titles = (heading["title"].lower() for heading in _HEADING.finditer(prose(text)))
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}
