"""Text of others in Markdown, HTML and XML: shown, and never obeyed."""

from __future__ import annotations

import re

from digitvae.base.text import printable

_NOT_STORABLE = re.compile(r"[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DIRECTIONS = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_ACTIVE = re.compile(
    r"[\\`*<|&$@\[\]]"
    r"|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])"  # within a word it is a character like others
    r"|~(?=\S)|(?<=\S)~"  # between blanks it strikes nothing out
    r"|://|(?<=www)\.|(?<=mailto):|(?<=xmpp):",  # which make addresses links by themselves
    re.IGNORECASE,
)


def storable(text: str) -> str:
    r"""A text in which characters that neither XML nor UTF-8 can hold are spelled out, as ``\x1b``.

    Args:
        text: Anything; messages of runtimes may hold any bytes.
    """
    return _NOT_STORABLE.sub(lambda found: f"\\x{ord(found.group()):02x}", text)


def shown(text: str) -> str:
    r"""A text for a page: storable, and without marks that reverse the order of what follows.

    Args:
        text: Anything; it has to be escaped all the same.
    """
    return _DIRECTIONS.sub(lambda found: f"\\u{ord(found.group()):04x}", storable(text))


class Markdown(str):
    """Markdown of our own, which is not escaped once more."""

    __slots__ = ()


def markdown(text: object) -> Markdown:
    """A text as Markdown that shows it: within a line, no link, image, code or HTML.

    Args:
        text: Anything; :class:`Markdown` stays as it is.
    """
    if isinstance(text, Markdown):
        return text
    escaped = _ACTIVE.sub(lambda found: _escaped(found.group()), printable(str(text)))
    return Markdown(escaped)


def code_span(text: str) -> Markdown:
    """A text as code within a line of Markdown, also in a table."""
    return Markdown(f"`{printable(text).replace('`', chr(39)).replace('|', chr(92) + '|')}`")


def _escaped(found: str) -> str:
    return r":\//" if found == "://" else f"\\{found}"
