"""``digitvae generate``: any number of new digits, as fast as the processors allow."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import click

from digitvae.arguments import check_digits, check_truncation
from digitvae.cli import options
from digitvae.cli.numbers import MAX_COUNT, MAX_SEED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from digitvae.arguments import PriorName
    from digitvae.engine import Model
    from digitvae.sinks import Sink
    from digitvae.sinks.manifest import Origin
    from digitvae.sinks.request import Request
    from digitvae.sinks.shards import Shards

_CHUNK_BYTES = 8192 * 784
"""Of the images made at a time: enough for every thread, little enough for a moving bar."""
_LABEL_BYTES = 4
_BUFFERS = 3
"""One that is filled, one that is written, and one so that neither waits for the other."""

_EXAMPLES = """\b
Examples:
  digitvae generate 10_000 --seed 7 -o digits.npy
  digitvae generate 100 -o sheet.png --invert
  digitvae generate 60_000 -o data --format mnist
  digitvae generate --digit 0-9 --per-digit 1000 -o digits.npz
  digitvae generate 50_000_000 -o digits.tar --shard-size 1_000_000
  digitvae generate 50_000_000 -o digits.tar --shard-size 1_000_000 --resume
  digitvae generate 1_000_000 -o - --format tar | tar t
"""


class _CountCommand(click.Command):
    """A command whose negative COUNT is told from an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for before, word in zip(["", *args], args, strict=False):
            if ctx.resilient_parsing:  # a shell asks how to go on
                break
            if word[:1] == "-" and word[1:2].isdigit() and not before.startswith("-"):
                raise click.BadParameter(f"{word} is not 1 or more", ctx=ctx, param_hint="'COUNT'")
        return super().parse_args(ctx, args)


@click.command(cls=_CountCommand, epilog=_EXAMPLES)
@click.argument("count", type=options.WholeNumber(1, MAX_COUNT), required=False)
@options.output("digits.npy")
@options.seed
@options.first
@options.prior
@options.digit
@options.per_digit
@options.truncation
@options.shard_size
@options.resume
@options.threads
@options.dtype
@options.output_format
@options.columns
@options.scale
@options.padding
@options.invert
@options.bundle
@options.force
@options.as_json
@options.quiet
def generate(
    *,
    count: int | None,
    output: str,
    seed: int,
    first: int,
    prior: PriorName | None,
    digit: list[int] | None,
    per_digit: int | None,
    truncation: float,
    shard_size: int | None,
    resume: bool,
    threads: int | None,
    dtype: options.PixelType,
    output_format: str | None,
    columns: int | None,
    scale: int | None,
    padding: int | None,
    invert: bool,
    bundle: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Generate COUNT new digits, such as 10_000.

    The extension of PATH says what is written:

    \b
      .npy .npz      NumPy arrays           .parquet   for Hugging Face datasets
      .idx .idx.gz   MNIST's own format     .tar       for WebDataset
      .png           a contact sheet        .raw       bare numbers
      none           a folder of PNGs; with --format mnist, what
                     torchvision.datasets.MNIST(PATH) reads, every label 255
                     unless --prior or --digit gives labels

    With --prior mixture, or a --digit, images have labels, which go into .npz, .parquet, .tar and
    --format mnist; the other kinds of output hold images only. Image I is of digit I mod K of the
    K digits asked for. The bundle needs a prior.onnx.

    Digit I of a seed is the same whatever COUNT, --first, --shard-size and --threads are: a large
    set can be made in parts, on several machines.

    With --shard-size, PATH without its extension is a folder of files that are each whole or
    absent. A run that was ended, in whatever way, is completed by the same command with --resume.
    """  # noqa: D301 (click's own mark: what follows is not to be wrapped)
    from digitvae.cli.result import Report
    from digitvae.sinks import format_of

    count = _images_asked(count, digit, per_digit)
    if prior == "standard" and digit is not None:
        raise click.UsageError("--digit needs --prior mixture: N(0, I) knows no digits")
    prior = prior or ("standard" if digit is None else "mixture")
    truncation = check_truncation(truncation)
    in_shards = resume or shard_size is not None
    if in_shards:
        from digitvae.sinks.shards import ShardedOutput, folder_and_format, open_shards

        folder, kind = folder_and_format(output, output_format)
        output = str(folder)
    else:
        kind = format_of(output, output_format)
    report = Report("generate", output, as_json=as_json, quiet=quiet)
    if first + count - 1 > MAX_SEED:
        raise ValueError(f"the last index, {first + count - 1:,}, is more than {MAX_SEED:,}")

    from digitvae import __version__
    from digitvae.cli.progress import progress
    from digitvae.engine import load
    from digitvae.sinks.formats import FORMATS
    from digitvae.sinks.manifest import Origin
    from digitvae.sinks.request import Request
    from digitvae.sinks.sink import open_request, sheet_layout

    model = load(bundle)
    if prior == "mixture":
        check_digits(digit, model.labels)
    request = Request(
        path=output,
        format=kind,
        count=count,
        dtype=dtype,
        first=first,
        height=model.height,
        width=model.width,
        labels=prior == "mixture" and FORMATS[kind].labels,
        sheet=sheet_layout(columns, scale, padding, invert=invert),
    )
    origin = Origin(
        seed=seed,
        prior=prior,
        bundle_sha256=model.bundle.sha256,
        dataset=model.bundle.manifest["dataset"],
        digitvae=__version__,
        onnxruntime=model.runtime_version,
        digits=digit,
        truncation=truncation,
    )
    digits = _Digits(model, request, origin, threads)
    details: dict[str, object] = {
        "format": kind,
        "dtype": dtype,
        "seed": seed,
        "first": first,
        "prior": prior,
        "digits": digit,
        "truncation": truncation,
        "labels": request.labels,
    }
    if not in_shards:
        with (
            open_request(request, force=force, threads=threads, origin=origin) as sink,
            progress("generating", count, quiet=quiet) as advance,
        ):
            digits.fill(first, count, sink, advance)
        report.finish(model, "digits", count, details)
        return
    shard_size = _recorded_shard_size(folder) if shard_size is None else shard_size
    wanted = ShardedOutput(folder, request, shard_size, origin)
    with (
        open_shards(wanted, resume=resume, force=force, threads=threads) as shards,
        progress("generating", count, quiet=quiet) as advance,
        _saying_how_to_go_on(shards, quiet=quiet),
    ):
        advance(count - shards.missing_images)
        for index in shards.missing:
            shards.make(index, partial(digits.fill, advance=advance))
    made = len(shards.missing)
    what = f"digits, {made:,} of {wanted.number:,} shards," if made else "digits, already complete,"
    details |= {"shard_size": shard_size, "shards": wanted.number, "shards_made": made}
    report.finish(model, what, shards.missing_images, details)


class _Digits:
    """Digits of a seed, made a chunk at a time while the one before is written.

    A piece of memory holds labels, where there are any, and then images.

    Args:
        model: What makes them.
        request: What is to be written.
        origin: Which latents to draw.
        threads: Worker threads; ``None``: all processors.
    """

    def __init__(self, model: Model, request: Request, origin: Origin, threads: int | None) -> None:
        self._model = model
        self._is_float = request.dtype == "float32"
        self._origin = origin
        self._threads = threads
        self._label_size = _LABEL_BYTES if request.labels else 0
        self._size = request.image_bytes + self._label_size
        self._most = _CHUNK_BYTES // request.image_bytes
        self._buffers: list[memoryview] = []

    def fill(self, first: int, count: int, sink: Sink, advance: Callable[[int], None]) -> None:
        """Write digits ``first`` … ``first + count − 1`` to a sink, and tell of each chunk."""
        if count <= self._most:
            (buffer,) = self._memory(1, count)
            self._make(buffer, first)
            self._write(sink, buffer)
            advance(count)
            return
        from digitvae.sinks.overlap import overlapped

        with overlapped(partial(self._write, sink), self._memory(_BUFFERS, self._most)) as overlap:
            for start in range(first, first + count, self._most):
                number = min(self._most, first + count - start)
                buffer = overlap.take()
                self._make(buffer[: number * self._size], start)
                overlap.give(buffer, number * self._size)
                advance(number)

    def _make(self, memory: memoryview, first: int) -> None:
        images, labels = self._parts(memory)
        origin = self._origin
        self._model.sample_into(
            images.cast("f") if self._is_float else images,
            labels=labels,
            seed=origin.seed,
            first=first,
            prior=origin.prior,
            digit=origin.digits,
            truncation=origin.truncation,
            threads=self._threads,
        )

    def _write(self, sink: Sink, memory: memoryview) -> None:
        sink.write(*self._parts(memory))

    def _parts(self, memory: memoryview) -> tuple[memoryview, memoryview | None]:
        """The images and the labels in a piece of memory."""
        if self._label_size == 0:
            return memory, None
        labels = memory.nbytes // self._size * self._label_size
        return memory[labels:], memory[:labels].cast("i")

    def _memory(self, pieces: int, images: int) -> list[memoryview]:
        """So many pieces of memory for so many images, kept from one shard to the next."""
        size = images * self._size
        if len(self._buffers) < pieces or len(self._buffers[0]) < size:
            # Not arrays: importing NumPy takes longer than making ten thousand digits.
            self._buffers = [memoryview(bytearray(size)) for _ in range(pieces)]
        return [buffer[:size] for buffer in self._buffers[:pieces]]


def _images_asked(count: int | None, digit: list[int] | None, per_digit: int | None) -> int:
    """How many images COUNT, or --digit and --per-digit, ask for."""
    if per_digit is None:
        if count is None:
            raise click.UsageError("how many? Give COUNT, or --digit with --per-digit")
        return count
    if count is not None:
        raise click.UsageError("COUNT and --per-digit both say how many: give one of them")
    if digit is None:
        raise click.UsageError("--per-digit needs --digit, such as --digit 0-9")
    if per_digit * len(digit) > MAX_COUNT:
        raise click.UsageError(f"{per_digit * len(digit):,} images are more than {MAX_COUNT:,}")
    return per_digit * len(digit)


def _recorded_shard_size(folder: Path) -> int:
    """The shard size that an output was begun with."""
    from digitvae.sinks import manifest

    size = None
    if (folder / manifest.NAME).exists():
        size = manifest.read(folder).asked.get("shard_size")
    if not isinstance(size, int):
        raise click.UsageError(
            f"--resume completes an output in shards, and '{folder}' is none yet: "
            "give --shard-size, too"
        )
    return size


@contextmanager
def _saying_how_to_go_on(shards: Shards, *, quiet: bool) -> Iterator[None]:
    """Where a run is interrupted, say what it leaves behind."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        if not quiet and sys.stderr is not None:
            sys.stderr.write(f"digitvae: interrupted: {shards.state}\n")
        raise
