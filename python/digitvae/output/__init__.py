"""Where images go: arrays, pictures, data sets, whole or in shards, or standard output.

>>> from digitvae.output import open_sink
>>> with open_sink("digits.idx.gz", count=2) as sink:
...     sink.write(memoryview(bytes(2 * 28 * 28)))

Images arrive as bytes, a buffer of whole images at a time, and leave at once, so that memory is
constant; the result appears when the block ends well, and not at all when it does not. Nothing
here needs NumPy. Large outputs are made in parts by :mod:`digitvae.output.shards`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from digitvae.base.text import STDOUT
from digitvae.output.formats import FORMATS, Format, Writer, format_of

if TYPE_CHECKING:
    from digitvae.output.sink import Sink, open_sink

__all__ = ["FORMATS", "STDOUT", "Format", "Sink", "Writer", "format_of", "open_sink"]


def __getattr__(name: str) -> object:
    """Import what writes when it is first asked for (PEP 562): help lists formats, and no more."""
    if name in ("Sink", "open_sink"):
        from digitvae.output import sink

        return getattr(sink, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
