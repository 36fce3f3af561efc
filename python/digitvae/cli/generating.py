"""What ``digitvae generate`` does, once its options are known.

Apart from the command itself, so that neither typer nor NumPy has to be imported for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - part of the public signature
from typing import Literal

from digitvae.cli.numbers import MAX_SEED
from digitvae.cli.progress import progress
from digitvae.cli.result import Report
from digitvae.sinks import format_of, open_sink

_CHUNK = 16_384
"""Images made at a time (12 MiB): enough for every thread, little enough for a moving bar."""


@dataclass(frozen=True)
class Request:
    """The options of ``digitvae generate``, and their defaults."""

    count: int
    output: str = "digits.npy"
    seed: int = 0
    first: int = 0
    threads: int | None = None
    dtype: Literal["uint8", "float32"] = "uint8"
    output_format: str | None = None
    columns: int | None = None
    scale: int | None = None
    bundle: Path | None = None
    force: bool = False
    as_json: bool = False
    quiet: bool = False


def generate(request: Request) -> None:
    """Generate digits into a file, a folder or standard output, and report.

    Raises:
        ValueError: Options that contradict each other, or the kind of output.
        OutputError: The output exists, or cannot be written.
        BundleError: The bundle cannot be used.
        RuntimeLibraryError: ONNX Runtime cannot be used.
    """
    count, seed, first = request.count, request.seed, request.first
    report = Report("generate", request.output, as_json=request.as_json, quiet=request.quiet)
    kind = format_of(request.output, request.output_format)
    if first + count - 1 > MAX_SEED:
        raise ValueError(f"the last index, {first + count - 1:,}, is more than {MAX_SEED:,}")

    from digitvae.engine import load

    model = load(request.bundle)
    with (
        open_sink(
            request.output,
            count=count,
            format=kind,
            dtype=request.dtype,
            first=first,
            height=model.height,
            width=model.width,
            columns=request.columns,
            scale=request.scale,
            force=request.force,
        ) as sink,
        progress("generating", count, quiet=request.quiet) as advance,
    ):
        size = model.pixels * (1 if request.dtype == "uint8" else 4)
        # A bytearray, not an array: importing NumPy takes longer than ten thousand digits.
        memory = memoryview(bytearray(min(count, _CHUNK) * size))
        for start in range(0, count, _CHUNK):
            number = min(_CHUNK, count - start)
            part = memory[: number * size]
            numbers = part if request.dtype == "uint8" else part.cast("f")
            model.sample_into(numbers, seed=seed, first=first + start, threads=request.threads)
            sink.write(part)
            advance(number)
    details = {"format": kind, "dtype": request.dtype, "seed": seed, "first": first}
    report.finish(model, "digits", count, details)
