"""``digitvae generate``: any number of new digits, as fast as the processors allow."""

from __future__ import annotations

from typing import Any

import click

from digitvae.base.arguments import PriorName
from digitvae.cli import options
from digitvae.cli.numbers import MAX_COUNT
from digitvae.output.formats import FORMATS, able

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
@click.argument("count", type=options.whole_number(1, MAX_COUNT), required=False)
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
    prior: PriorName | None,
    digit: list[int] | None,
    per_digit: int | None,
    again: int | None,
    engine: str,
    address: str | None,
    mixed_processors: bool,
    output_format: str | None,
    as_json: bool,
    quiet: bool,
    **asked: Any,
) -> None:
    """Generate digits."""
    import digitvae as dv
    from digitvae.cli.progress import bars
    from digitvae.cli.result import Report

    count = _images_asked(count, digit, per_digit)
    cluster = options.cluster(engine, address, mixed_processors=mixed_processors)
    report = Report("generate", output, as_json=as_json, quiet=quiet)
    with bars(quiet=quiet) as progress:
        done = dv.generate(
            output,
            count,
            prior=prior,
            digit=digit,
            again=again,
            cluster=cluster,
            same_bits=not mixed_processors,
            format=output_format,
            progress=progress,
            **asked,
        )
    spec, what = done.spec, "digits"
    told = spec.to_dict()
    names = ("format", "dtype", "seed", "first", "prior", "digits", "truncation")
    details = {name: told[name] for name in names} | {"labels": spec.labels}
    if spec.test:
        details["test"] = spec.test
    if spec.shard_size is not None:
        what = f"digits, {done.shards_made:,} of {spec.shards:,} shards,"
        if not done.shards_made:
            what = "digits, already complete,"
        if done.shards_made_again:
            what = f"{what} {done.shards_made_again:,} made twice,"
        details |= {
            "shard_size": spec.shard_size,
            "shards": spec.shards,
            "shards_made": done.shards_made,
            "shards_made_again": done.shards_made_again,
        }
    report.finish(done.bundle, what, done.images, details, path=spec.path)


def _images_asked(count: int | None, digit: list[int] | None, per_digit: int | None) -> int:
    """Number of images that COUNT, or --digit and --per-digit, ask for."""
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
