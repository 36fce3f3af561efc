"""``digitvae check``: whether an output still is what was written, and what the engine makes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from digitvae.cli import options
from digitvae.cli.say import say, say_json

if TYPE_CHECKING:
    from pathlib import Path

_MOST_TOLD = 5


@click.command(
    short_help="Check the shards of an output against its manifest.",
    epilog="""\b
Examples:
  digitvae check digits                 read every shard; make one again
  digitvae check digits --again 10
  digitvae check s3://BUCKET/digits --engine ray
""",
)
@click.argument("output")
@options.number(
    "--again",
    low=0,
    high=1 << 20,
    default=1,
    help="Make N of the shards again, by chance, and compare.",
)
@options.engine
@options.address
@options.cluster_threads
@options.bundle
@options.as_json
@options.quiet
def check(
    *,
    output: str,
    again: int,
    engine: str,
    address: str | None,
    threads: int | None,
    bundle: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Check that every shard of OUTPUT has the SHA-256 that its manifest says.

    OUTPUT is what 'generate --shard-size' has written, a folder or an address. Some shards are
    made again, too, with the bundle that they were made with: files that are as they were written
    may have been made by a broken machine.

    Nothing is said of files that the manifest does not list; one with the name of a shard fails.
    What is wrong with an output is told, and it fails. Delete what is wrong, and have the command
    that made it make it again, with --resume.
    """
    from digitvae.base.errors import BundleError, OutputError
    from digitvae.cli.checking import refuse_problems
    from digitvae.engine.model import load
    from digitvae.generation.check import Output, other_version
    from digitvae.generation.executor import executor_of
    from digitvae.output.stores import open_store

    began = time.perf_counter()
    cluster = options.cluster(engine, address)
    found = Output.open(open_store(output))
    if found.missing:
        raise OutputError(
            f"'{output}' is not complete: {found.missing:,} of {found.shards.number:,} shards are "
            "still to be made, by the command that began it, with --resume"
        )
    others = found.unlisted()
    model = load(bundle)
    if again and model.bundle.sha256 != found.origin.bundle_sha256:
        raise BundleError(
            f"'{output}' was made with the bundle {found.origin.bundle_sha256[:12]}…, and "
            f"'{model.bundle.path}' is {model.bundle.sha256[:12]}…: name the other with --bundle, "
            "or make nothing again with --again 0"
        )
    other = other_version(found.origin.digitvae, found.origin.onnxruntime, model)
    if again and other is not None:
        what, there, here = other
        raise OutputError(
            f"'{output}' was made with {what} {there}, and this is {here}, whose bytes may "
            "differ: install that version, or make nothing again with --again 0"
        )
    with executor_of(
        found.shards, found.origin, model, threads=threads, cluster=cluster
    ) as executor:
        again = refuse_problems(found, executor, again=again, quiet=quiet)
    seconds = time.perf_counter() - began
    size = sum(record.bytes for record in found.manifest.files)
    if as_json:
        result = {
            "command": "check",
            "path": output,
            "shards": found.shards.number,
            "bytes": size,
            "shards_made_again": again,
            "not_looked_at": others,
            "seconds": round(seconds, 6),
        }
        say_json(result)
    elif not quiet:
        say(
            f"{output}: {found.shards.number:,} shards, {size:,} bytes, are what they should be; "
            f"{again:,} made again: the same; in {seconds:.2f} s{_told(others)}"
        )


def _told(others: list[str]) -> str:
    """What else lies beside the shards, of which nothing is said."""
    if not others:
        return ""
    number = "1 other file was" if len(others) == 1 else f"{len(others):,} other files were"
    names = ", ".join(others[:_MOST_TOLD]) + (", …" if len(others) > _MOST_TOLD else "")
    return f"; {number} not looked at: {names}"
