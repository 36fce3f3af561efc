"""``digitvae data``: have a data set in the cache, or in a folder of one's own."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - typer evaluates the annotations
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="data")(data)


def data(
    name: Annotated[
        str, typer.Argument(metavar="[DATASET]", help="mnist or fashion-mnist.")
    ] = "mnist",
    dataset: Annotated[
        str | None, typer.Option(help="The same as the argument.", show_default=False)
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DIR",
            help="Folder to use instead of the cache; what it has is never replaced.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Fetch a data set if it is not there yet, and check every file's SHA-256.

    Without --data it is kept in DIGITVAE_DATA, or else in the user's cache folder.
    """
    from digitvae.data import DATASETS, fetch

    name = dataset or name
    if name not in DATASETS:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(DATASETS)}")
    root = fetch(name, folder, say=lambda line: typer.echo(line, err=True))
    files = [{"name": f.name, "bytes": f.bytes, "sha256": f.sha256} for f in DATASETS[name].files]
    if as_json:
        typer.echo(json.dumps({"dataset": name, "root": str(root), "files": files}, indent=2))
    else:
        typer.echo(f"{name}: {len(files)} files in {root}, every SHA-256 is right")
