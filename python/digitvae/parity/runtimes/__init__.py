"""The runtimes that are compared. To add one, add a module here that lists it.

Modules that have ``RUNTIMES`` are found: a tuple of
:class:`~digitvae.parity.runtimes.runtime.Runtime`, each of which owns all facts of one runtime.
``PLACE`` orders the modules in reports; a runtime stands behind the one whose bits it must have.

No runtime is given a file whose SHA-256 is not the manifest's; TorchScript and ``.pt2`` files of
bundles go through :mod:`.trusted`. A module that hands ONNX to a library reads it by
``onnx.load_model`` or ``onnx.load_session``, which let our own reader check it first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from pkgutil import iter_modules
from typing import TypeVar

from digitvae.parity.report.report import LOADED, Check, first_line
from digitvae.parity.runtimes.runtime import Export, Runtime, UnavailableError
from digitvae.parity.runtimes.trusted import NotLoadedError

T = TypeVar("T")

_MODULES = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
_LISTING = [module for module in _MODULES if hasattr(module, "RUNTIMES")]
_LISTING.sort(key=lambda module: getattr(module, "PLACE", len(_MODULES)))

RUNTIMES: tuple[Runtime, ...] = tuple(one for module in _LISTING for one in module.RUNTIMES)
"""All of them, in the order of reports; the first is what the others are compared with."""


def load(export: Export, checks: list[Check]) -> None:
    """Load an export in every runtime that takes it.

    Each computes on one thread unless its name says more.

    Args:
        export: Gets the functions.
        checks: Gets a check for each file that cannot be loaded, and each runtime that is lacking.
    """
    for runtime in RUNTIMES:
        if (runtime.ours and not export.ours) or runtime.file not in (None, *export.files):
            continue
        subject = runtime.name if runtime.file is None else export.files[runtime.file]
        function = attempt(checks, subject, partial(runtime.load, export), runtime.name)
        if function is not None:
            export.functions[runtime.name] = function


def attempt(
    checks: list[Check], subject: str, action: Callable[[], T], runtime: str | None = None
) -> T | None:
    """Run ``action``; whatever it raises becomes a check. KeyboardInterrupt passes.

    Args:
        checks: Gets it; the first that cannot load a file is enough to say so.
        subject: The file.
        action: Loads it. Of a file that is not trusted nothing is known: it is ``not run``.
        runtime: What loads it, which is itself the subject where this machine lacks it.
    """
    try:
        return action()
    except UnavailableError as error:
        checks.append(Check(runtime or subject, LOADED, "not run", str(error)))
    except NotLoadedError as error:
        checks.append(Check(subject, LOADED, "not run", str(error)))
    except Exception as error:  # each runtime has its own exceptions; all mean the same here
        said = (subject, LOADED, "failed")
        if not any((c.subject, c.statement, c.status) == said for c in checks):
            detail = first_line(error) if runtime is None else f"{runtime}: {first_line(error)}"
            checks.append(Check(subject, LOADED, "failed", detail))
    return None
