"""The report of a verification, put into the bundle that was verified."""

from __future__ import annotations

from pathlib import Path

from digitvae.base.atomic import write_json
from digitvae.bundle.folder import Bundle, describe_files, write_manifest
from digitvae.bundle.names import PARITY
from digitvae.parity.report.baseline import refuse_less
from digitvae.parity.report.report import ParityReport


def write_report(folder: Path, report: ParityReport, *, force: bool = False) -> None:
    """Put the report of a bundle into it, as ``parity.json``, and make the manifest know it.

    Args:
        folder: The bundle.
        report: Of its verification.
        force: Replace even the report of a verification that looked at more.

    Raises:
        BundleError: The folder is not an intact bundle.
        OutputError: It cannot be written.
        ParityError: The report that is there looked at more.
    """
    bundle = Bundle.open(folder)
    bundle.check_files()
    if PARITY in bundle.file_names and not force:
        refuse_less(report, bundle.read(PARITY))
    write_json(bundle.path / PARITY, report.to_dict())
    files = bundle.manifest["files"] | describe_files(bundle.path, [PARITY])
    write_manifest(bundle.path, bundle.manifest | {"files": files})
    Bundle.open(bundle.path).check_files()
