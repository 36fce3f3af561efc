"""``digitvae data``: have a data set in the cache, or in a folder of one's own."""

from __future__ import annotations

from pathlib import Path

import click

from digitvae.cli import options
from digitvae.cli.say import say, say_json, tell


@click.command(
    short_help="Have a data set in the cache, each file checked by SHA-256.",
    epilog="""\b
Examples:
  digitvae data                              MNIST, into the cache
  digitvae data fashion-mnist
  digitvae data mnist --data folder          into a folder of one's own
""",
)
@click.argument(
    "name", metavar="[DATASET]", default="mnist", shell_complete=options.complete_dataset
)
@click.option(
    "--dataset",
    help="The same as the argument: mnist or fashion-mnist.",
    shell_complete=options.complete_dataset,
)
@click.option(
    "--data",
    "folder",
    type=options.PATH,
    metavar="DIR",
    help="Folder to use instead of the cache; what it has is never replaced.",
)
@options.as_json
def data(*, name: str, dataset: str | None, folder: Path | None, as_json: bool) -> None:
    """Fetch a data set if it is not there yet, and check every file's SHA-256.

    DATASET is mnist, by default, or fashion-mnist. Without --data it is kept in DIGITVAE_DATA, or
    else in the user's cache folder.
    """
    from digitvae.data.sets import DATASETS, fetch

    name = dataset or name
    if name not in DATASETS:
        raise click.BadParameter(f"{name!r} is not one of {', '.join(DATASETS)}")
    root = fetch(name, folder, say=tell)
    files = [{"name": f.name, "bytes": f.bytes, "sha256": f.sha256} for f in DATASETS[name].files]
    if as_json:
        say_json({"dataset": name, "root": str(root), "files": files}, indent=2)
    else:
        say(f"{name}: {len(files)} files in {root}, every SHA-256 is right")
