"""Where an output of several files goes: a folder, or a prefix in an object store.

>>> from digitvae.output.stores import open_store
>>> store = open_store("s3://bucket/digits")
>>> with store.new_file("a.npy") as file:
...     file.write(content)
"""

from __future__ import annotations

from pathlib import Path

from digitvae.output.descriptors import is_uri
from digitvae.output.stores.folder import Folder
from digitvae.output.stores.store import Entry, Store, is_missing

__all__ = ["Entry", "Folder", "Store", "is_missing", "open_store"]

SCHEMES = ("s3", "gs")
"""Object stores, as their addresses begin."""


def open_store(place: str | Path) -> Store:
    """The store at a path or an address. Nothing is made, and nothing asked of it yet.

    Args:
        place: A folder, a ``file:///`` address of one, or ``s3://BUCKET/…`` or ``gs://BUCKET/…``.

    Raises:
        ValueError: An address of another kind, or without a bucket or a name in it.
        OutputError: The package for this kind of address is not installed.
    """
    text = str(place)
    if not is_uri(text):
        return Folder(Path(place))
    scheme, _, rest = text.partition("://")
    if scheme == "file":
        if not rest.startswith("/"):
            raise ValueError(f"'{text}' names another machine; write file:///PATH")
        return Folder(Path(rest))
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in (*SCHEMES, "file"))
        raise ValueError(f"'{text}': cannot write to {scheme}://; known: {known}, and folders")
    from digitvae.output.stores.objects import Objects

    return Objects(text)
