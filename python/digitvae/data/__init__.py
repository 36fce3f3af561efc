"""Data sets, and the files that images and latents come in.

>>> from digitvae import data
>>> train, test = data.load("mnist").values()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from digitvae.data.sets import Split, load

__all__ = ["Split", "load"]


def __getattr__(name: str) -> object:
    """Import NumPy when it is first needed (PEP 562): a header of IDX takes none."""
    if name in __all__:
        from digitvae.data import sets

        return getattr(sets, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
