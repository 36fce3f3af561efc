"""Making copies, verifying them, and counting."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from digitvae.base.errors import BundleError
from digitvae.bundle.folder import Bundle, manifest_bytes
from digitvae.bundle.names import MANIFEST, PRIOR
from digitvae.parity.bundle import verify_with
from digitvae.parity.gate import edits
from digitvae.parity.gate.edits import Copy
from digitvae.parity.gate.honest import all_honest_copies
from digitvae.parity.gate.mutants import all_mutants
from digitvae.parity.report.report import Check, Comparison, GateTest, ParityReport
from digitvae.parity.runtimes.trusted import NotLoadedError, TorchFiles
from digitvae.parity.settings import GATE
from digitvae.parity.verification import Progress


class Outcome(NamedTuple):
    """What became of one copy.

    Attributes:
        copy: The copy.
        failures: What the verification found, or the error that it ended with; none if it passed.
    """

    copy: Copy
    failures: tuple[Check | Comparison | BundleError, ...]

    @property
    def said(self) -> str:
        """The failures, one a line."""
        return "\n".join(map(str, self.failures))

    @property
    def as_it_should(self) -> bool:
        """An honest copy passed; a mutant failed, and was blamed on the right place."""
        wanted = self.copy.wanted
        return bool(wanted) == bool(self.failures) and all(words in self.said for words in wanted)


def judge(bundle: Path, copy: Copy, *, trust: bool = False) -> Outcome:
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
        if copy.change is not None:
            copy.change(folder)
        if not copy.keeps_hashes:
            edits.redo_hashes(folder)
        try:
            # Trusted: what is not the bundle's own, and may be loaded, was made here.
            report = verify_with(folder, GATE, trust=True, disguise=copy.engine)
        except BundleError as error:
            return Outcome(copy, (error,))
    return Outcome(copy, report.failures)


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
    faults = all_mutants(opened.dims, prior=PRIOR in opened.file_names)
    honest = all_honest_copies()
    copies = [*faults, *honest]
    wrong = []
    for done, copy in enumerate(copies):
        if on_progress is not None:
            on_progress(done, len(copies), f"gate: {copy.name}")
        if not judge(bundle, copy, trust=trust).as_it_should:
            wrong.append(copy)
    missed = tuple(copy.name for copy in wrong if copy.wanted)
    rejected = tuple(copy.name for copy in wrong if not copy.wanted)
    test = GateTest(
        mutants=len(faults),
        caught=len(faults) - len(missed),
        honest=len(honest),
        accepted=len(honest) - len(rejected),
        missed=missed,
        rejected=rejected,
    )
    found = "; ".join(missed + rejected) or f"{test.caught} caught, {test.accepted} accepted"
    check = Check.of("gate", statement, not wrong, found)
    return replace(report, checks=(*report.checks, check), gate_test=test)
