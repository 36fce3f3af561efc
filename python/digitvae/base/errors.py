"""The one family of exceptions that digitvae raises for things outside the caller's code.

Wrong arguments (a shape, a dtype, a count) raise ``ValueError`` or ``TypeError`` before any
work starts; everything below means that the outside world (a file, a library, a data set, an
export) is not what it has to be.
"""

from __future__ import annotations

from digitvae.base.text import printable


class DigitVAEError(Exception):
    """Base of every exception that digitvae raises on purpose.

    Each argument is a line of its message: the first says what is wrong, others list details.
    Names from files and messages of libraries may be part of them, so that what cannot be printed,
    a line end too, is shown spelled out.
    """

    def __str__(self) -> str:
        return "\n  ".join(printable(str(line)) for line in self.args)


class BundleError(DigitVAEError):
    """A bundle is missing, incomplete, foreign, tampered with, or of an unknown schema."""


class DataError(DigitVAEError):
    """A data set cannot be had, or a file of it is not what its SHA-256 or header says."""


class TrainingError(DigitVAEError):
    """A run cannot be started, resumed, or exported (for example: collapsed posterior)."""


class ParityError(DigitVAEError):
    """An export does not compute what PyTorch computes."""


class RuntimeLibraryError(DigitVAEError):
    """The ONNX Runtime shared library is missing, too old, or cannot be loaded."""


class OutputError(DigitVAEError):
    """A result cannot be written: it exists already, the place is read-only, the disk is full."""


class ExplorerError(DigitVAEError):
    """The explorer's page has not been built, or its server cannot start."""


class ClusterError(DigitVAEError):
    """A Ray cluster is missing, cannot be reached, fails, or has machines that will not do."""


def add_note(error: BaseException, note: str) -> None:
    """Have an exception that goes on its way tell more, as ``BaseException.add_note`` (PEP 678)."""
    error.__dict__.setdefault("__notes__", []).append(note)  # Python 3.10 has no add_note
