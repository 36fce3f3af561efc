"""What all parts of a run share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from digitvae.bench.results import MEASURED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from digitvae.bench.contenders import Contender
    from digitvae.bench.results import Results
    from digitvae.bench.settings import Settings
    from digitvae.bundle.folder import Bundle

    Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Job:
    """A run: what to do, and where its results go.

    Attributes:
        settings: What to measure, and how long.
        bundle: The decoder that all use.
        folder: Where files are written that are removed again.
        results: To be filled.
        on_progress: Called with steps done, steps in all (of the present part) and what is done.
    """

    settings: Settings
    bundle: Bundle
    folder: Path
    results: Results
    on_progress: Progress

    def takes_part(self, contender: Contender) -> bool:
        """Whether a contender is installed and has neither failed nor been refused so far."""
        return self.results.outcome(contender.name).status == MEASURED

    def exclude(self, contender: Contender, status: str, detail: str) -> None:
        """Leave a contender out from now on.

        Args:
            contender: Who.
            status: ``FAILED`` or ``REFUSED`` of :mod:`digitvae.bench.results`.
            detail: Why.
        """
        outcome = self.results.outcome(contender.name)
        outcome.status, outcome.detail = status, detail
