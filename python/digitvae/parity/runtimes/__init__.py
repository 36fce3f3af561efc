"""The runtimes that are compared. To add one, add a module here that lists it.

Each module that has ``RUNTIMES`` is found by that: a tuple of
:class:`~digitvae.parity.runtimes.runtime.Runtime`, which own all that is known of them. Reports
list the modules by ``PLACE``; what must have another's bits has its place behind that.

No runtime is given a file whose SHA-256 is not the manifest's; TorchScript and ``.pt2`` files of
bundles go through :mod:`.trusted`.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from digitvae.parity.runtimes.runtime import Runtime

_MODULES = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
_LISTING = [module for module in _MODULES if hasattr(module, "RUNTIMES")]
_LISTING.sort(key=lambda module: getattr(module, "PLACE", len(_MODULES)))

RUNTIMES: tuple[Runtime, ...] = tuple(one for module in _LISTING for one in module.RUNTIMES)
"""All of them, in the order of reports; the first is what the others are compared with."""
