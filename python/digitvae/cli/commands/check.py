"""``digitvae check``: whether an output still is what was written, and what the engine makes."""

from __future__ import annotations

import time
from pathlib import Path

import click

from digitvae.cli import options
from digitvae.cli.say import say, say_json

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

    Exits with 1 and lists the damaged shards. Delete them, then repeat the original command with
    --resume. A file that the manifest does not list fails the check if it has the name of a shard;
    nothing is said of others.
    """
    import digitvae as dv
    from digitvae.cli.progress import bars

    began = time.perf_counter()
    cluster = options.cluster(engine, address)
    with bars(quiet=quiet) as progress:
        found = dv.check(
            output, again=again, bundle=bundle, threads=threads, cluster=cluster, progress=progress
        )
    seconds = time.perf_counter() - began
    if as_json:
        result = {
            "command": "check",
            "path": output,
            "shards": found.shards,
            "bytes": found.bytes,
            "shards_made_again": found.made_again,
            "not_looked_at": found.not_looked_at,
            "seconds": round(seconds, 6),
        }
        say_json(result)
    elif not quiet:
        say(
            f"{output}: {found.shards:,} shards, {found.bytes:,} bytes, are what they should be; "
            f"{found.made_again:,} made again: the same; in {seconds:.2f} s"
            f"{_told(found.not_looked_at)}"
        )


def _told(others: list[str]) -> str:
    """List what else lies beside the shards, of which nothing is said."""
    if not others:
        return ""
    number = "1 other file was" if len(others) == 1 else f"{len(others):,} other files were"
    names = ", ".join(others[:_MOST_TOLD]) + (", …" if len(others) > _MOST_TOLD else "")
    return f"; {number} not looked at: {names}"
