"""Loading an export in every runtime; what cannot be loaded becomes a check."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from digitvae.parity.report import LOADED, Check, first_line
from digitvae.parity.runtimes.runtime import UnavailableError
from digitvae.parity.runtimes.trusted import NotLoadedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from digitvae.parity.runtimes.runtime import Export, Runtime

T = TypeVar("T")


def load(export: Export, runtimes: Iterable[Runtime], checks: list[Check]) -> None:
    """Load an export; each runtime computes on one thread unless its name says more.

    Args:
        export: Gets the functions.
        runtimes: Which runtimes.
        checks: Gets a check for each file that cannot be loaded, and each runtime that is lacking.
    """
    for runtime in runtimes:
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
        if not any((c.subject, c.statement) == (subject, LOADED) for c in checks):
            detail = first_line(error) if runtime is None else f"{runtime}: {first_line(error)}"
            checks.append(Check(subject, LOADED, "failed", detail))
    return None
