"""``digitvae generate``: any number of new digits, as fast as the processors allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from digitvae.base.arguments import check_digits, check_truncation
from digitvae.cli import options
from digitvae.cli.numbers import MAX_COUNT
from digitvae.output.formats import FORMATS, able

if TYPE_CHECKING:
    from pathlib import Path

    from digitvae.base.arguments import PriorName

_EXAMPLES = """\b
Examples:
  digitvae generate 10_000 --seed 7 -o digits.npy
  digitvae generate 100 -o sheet.png --invert
  digitvae generate 60_000 -o data --format mnist
  digitvae generate --digit 0-9 --per-digit 1000 -o digits.npz
  digitvae generate 50_000_000 -o digits.tar --shard-size 1_000_000
  digitvae generate 50_000_000 -o digits.tar --shard-size 1_000_000 --resume
  digitvae generate 1_000_000 -o - --format tar | tar t
  digitvae generate 1_000_000_000 --engine ray -o s3://BUCKET/digits.tar
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


_FORMATS = "\n    ".join(f"  {kind.asked_by:<17}{kind.what}" for kind in FORMATS.values())
_HELP = f"""Generate COUNT new digits, such as 10_000.

    The extension of PATH, or --format, says what is written; no extension, a folder:

    \b
    {_FORMATS}

    The labels of --format mnist are 255 unless --prior or --digit gives others; COUNT digits are to
    train with, and the --test that follow are for train=False.

    With --prior mixture, or a --digit, images have labels, which go into
    {
    able(lambda kind: kind.labels)
}; the other formats hold images only. Image I is of digit I mod K
    of the K digits asked for. The bundle needs a prior.onnx.

    Digit I of a seed is the same whatever COUNT, --first, --shard-size and --threads are: a large
    set can be made in parts, on several machines.

    With --shard-size, PATH without its extension is a folder, or an address such as
    s3://BUCKET/digits.tar, of files that are each whole or absent. A run that was ended, in
    whatever way, is completed by the same command with --resume. With --engine ray, the machines
    of a cluster make the shards (of 1,000,000 images unless told), to the same bytes.
    """


@click.command(cls=_CountCommand, help=_HELP, epilog=_EXAMPLES)
@click.argument("count", type=options.WholeNumber(1, MAX_COUNT), required=False)
@options.output("digits.npy")
@options.seed
@options.first
@options.prior
@options.digit
@options.per_digit
@options.truncation
@options.test
@options.shard_size
@options.resume
@options.again
@options.engine
@options.address
@options.mixed_processors
@options.cluster_threads
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
    test: int | None,
    shard_size: int | None,
    resume: bool,
    again: int | None,
    engine: str,
    address: str | None,
    mixed_processors: bool,
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
    """Generate digits."""
    from digitvae.cli.result import Report
    from digitvae.output import format_of

    count = _images_asked(count, digit, per_digit)
    if prior == "standard" and digit is not None:
        raise click.UsageError("--digit needs --prior mixture: N(0, I) knows no digits")
    prior = prior or ("standard" if digit is None else "mixture")
    truncation = check_truncation(truncation)
    if again and mixed_processors:
        raise click.UsageError(
            "--again compares bytes, which --mixed-processors lets differ: give one of them"
        )
    cluster = options.cluster(engine, address, mixed_processors=mixed_processors)
    in_shards = resume or shard_size is not None or cluster is not None
    if in_shards:
        from digitvae.cli.generate_shards import ShardPlan, generate_shards, place_of

        store, kind = place_of(output, output_format)
        output = str(store)
    else:
        _refuse_what_needs_shards(output, again)
        kind = format_of(output, output_format)
    tested = FORMATS[kind].test_images(count) if test is None else test
    report = Report("generate", output, as_json=as_json, quiet=quiet)

    from digitvae import __version__
    from digitvae.engine.model import load
    from digitvae.output.manifest import Origin
    from digitvae.output.spec import Layout, OutputSpec

    model = load(bundle)
    if prior == "mixture":
        check_digits(digit, model.labels)
    spec = OutputSpec(
        path=output,
        format=kind,
        count=count,
        dtype=dtype,
        first=first,
        height=model.height,
        width=model.width,
        labels=prior == "mixture" and FORMATS[kind].labels,
        sheet=Layout.asked(columns, scale, padding, invert=invert),
        test=tested,
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
    details: dict[str, object] = {
        "format": kind,
        "dtype": dtype,
        "seed": seed,
        "first": first,
        "prior": prior,
        "digits": digit,
        "truncation": truncation,
        "labels": spec.labels,
    }
    if tested:
        details["test"] = tested
    if in_shards:
        plan = ShardPlan(shard_size, resume, force, again or 0, cluster, threads)
        done = generate_shards(store, spec, origin, model, plan, quiet=quiet)
        report.finish(model, done.what, done.images, details | done.details)
        return
    from digitvae.cli.progress import progress
    from digitvae.generation.maker import DigitMaker
    from digitvae.output.sink import open_output

    maker = DigitMaker(model, spec, origin, threads)
    with (
        open_output(spec, force=force, threads=threads, origin=origin) as sink,
        progress("generating", spec.total, quiet=quiet) as advance,
    ):
        maker.fill(first, spec.total, sink, advance)
    report.finish(model, "digits", count, details)


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


def _refuse_what_needs_shards(output: str, again: int | None) -> None:
    if again is not None:
        raise click.UsageError("--again makes shards twice: give --shard-size, too")
    if "://" in output:
        from digitvae.output.stores import is_uri

        if is_uri(output):
            raise click.UsageError(
                f"'{output}' is an address, where outputs go in shards: give --shard-size"
            )
