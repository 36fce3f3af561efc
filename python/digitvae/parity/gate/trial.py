"""Making copies, verifying them, and counting."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from digitvae.base.errors import BundleError
from digitvae.bundle.folder import Bundle, manifest_bytes
from digitvae.bundle.names import MANIFEST, PRIOR
from digitvae.engine.model import Model
from digitvae.parity.bundle import verify_with
from digitvae.parity.gate import edits
from digitvae.parity.gate.honest import HonestCopy, all_honest_copies
from digitvae.parity.gate.mutants import Mutant, all_mutants
from digitvae.parity.report.report import Check, Comparison, GateTest, ParityReport
from digitvae.parity.runtimes.trusted import NotLoadedError, TorchFiles
from digitvae.parity.settings import GATE
from digitvae.parity.verification import Progress


@dataclass(frozen=True)
class Outcome:
    """What became of one copy.

    Attributes:
        copy: The mutant or the honest copy.
        passed: Whether the verification let it pass.
        by_numbers: Whether a comparison of numbers failed, whatever else did.
        said: Its failures, one a line.
    """

    copy: Mutant | HonestCopy
    passed: bool
    by_numbers: bool
    said: str

    @property
    def as_it_should(self) -> bool:
        """An honest copy passed; a mutant failed, and was blamed on the right place."""
        if isinstance(self.copy, HonestCopy):
            return self.passed
        return not self.passed and all(words in self.said for words in self.copy.wanted)


def judge(bundle: Path, copy: Mutant | HonestCopy, *, trust: bool = False) -> Outcome:
    """Make a copy of an honest bundle, change it, and verify it.

    Args:
        bundle: The bundle's folder.
        copy: What to make of it.
        trust: Load TorchScript and ``.pt2`` files of the bundle whatever they hold.

    Raises:
        NotLoadedError: A file of the bundle would have to be trusted.
    """
    contents = _contents(bundle, trust=trust)
    with tempfile.TemporaryDirectory(prefix="digitvae-") as scratch:
        # Contents only: who may not write the bundle has to write its copy.
        folder = Path(scratch) / "copy"
        folder.mkdir()
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        if isinstance(copy, HonestCopy):
            copy.change(folder)
        elif copy.damage is not None:
            copy.damage(folder)
        if isinstance(copy, HonestCopy) or not copy.keeps_hashes:
            edits.redo_hashes(folder)
        engine = None if isinstance(copy, HonestCopy) else copy.engine
        try:
            report = verify_with(
                folder,
                GATE,
                trust=True,  # what is not the bundle's own, and may be loaded, was made here
                disguise=None if engine is None else lambda model: cast("Model", engine(model)),
            )
        except BundleError as error:
            return Outcome(copy, passed=False, by_numbers=False, said=str(error))
    failures: tuple[Check | Comparison, ...] = report.failures
    by_numbers = any(isinstance(failure, Comparison) for failure in failures)
    return Outcome(copy, report.passed, by_numbers, "\n".join(map(str, failures)))


def _contents(bundle: Path, *, trust: bool) -> dict[str, bytes]:
    """Every file of a bundle, none of which runs code when it is loaded."""
    opened = Bundle.open(bundle)
    files = TorchFiles(opened, trust=trust)
    contents = {MANIFEST: manifest_bytes(opened.manifest)}
    for name in opened.file_names:
        try:
            contents[name] = files.read(name)
        except NotLoadedError as error:
            raise NotLoadedError(f"{name}: {error}") from error
    return contents


def gate_tested(
    report: ParityReport,
    bundle: Path,
    *,
    trust: bool = False,
    on_progress: Progress | None = None,
) -> ParityReport:
    """The report of a bundle, with what became of its mutants and honest copies.

    Args:
        report: Of a verification.
        bundle: The bundle's folder, which has passed: copies of a faulty one prove nothing.
        trust: Load TorchScript and ``.pt2`` files of the bundle whatever they hold. Otherwise the
            gate is not tested on a bundle that has other files than this version writes.
        on_progress: Called before each copy with (done, in all, its name).
    """
    statement = "the gate catches every faulty copy and accepts every honest one"
    why_not = "" if report.passed else "the bundle itself failed"
    if not why_not:
        try:
            _contents(bundle, trust=trust)
        except NotLoadedError as error:
            why_not = str(error)
    if why_not:
        check = Check("gate", statement, "not run", why_not)
        return replace(report, checks=(*report.checks, check))
    opened = Bundle.open(bundle)
    has_prior = PRIOR in opened.file_names
    faults = [mutant for mutant in all_mutants(opened.dims) if has_prior or not mutant.prior]
    copies: list[Mutant | HonestCopy] = [*faults, *all_honest_copies()]
    outcomes = []
    for done, copy in enumerate(copies):
        if on_progress is not None:
            on_progress(done, len(copies), f"gate: {copy.name}")
        outcomes.append(judge(bundle, copy, trust=trust))
    test = _counted(outcomes)
    missed = (*test.missed, *test.rejected)
    check = Check(
        "gate",
        statement,
        "failed" if missed else "passed",
        "; ".join(missed) or f"{test.caught} caught, {test.accepted} accepted",
    )
    return replace(report, checks=(*report.checks, check), gate_test=test)


def _counted(outcomes: list[Outcome]) -> GateTest:
    count = Counter((isinstance(o.copy, HonestCopy), o.as_it_should) for o in outcomes)
    wrong = [o for o in outcomes if not o.as_it_should]
    return GateTest(
        mutants=count[False, True] + count[False, False],
        caught=count[False, True],
        honest=count[True, True] + count[True, False],
        accepted=count[True, True],
        missed=tuple(o.copy.name for o in wrong if isinstance(o.copy, Mutant)),
        rejected=tuple(o.copy.name for o in wrong if isinstance(o.copy, HonestCopy)),
    )
