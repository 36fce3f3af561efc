"""Refuse places where a command must not write, before it works."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import click


def require_places(
    outputs: Mapping[str, Path | None],
    inputs: Mapping[str, Path | None],
    bundles: Iterable[Path | None],
) -> None:
    """Refuse to write what is read, to write one file twice, or to write into a bundle.

    Args:
        outputs: Files to write, by option; ``None``: not asked for.
        inputs: Files to read, by option.
        bundles: Folders of bundles that are read.

    Raises:
        click.UsageError: Names the options.
    """
    taken = {file.resolve(): name for name, file in inputs.items() if file is not None}
    folders = [bundle.resolve() for bundle in bundles if bundle is not None]
    for name, file in outputs.items():
        if file is None:
            continue
        place = file.resolve()
        if place in taken:
            raise click.UsageError(f"{name} and {taken[place]} are the same file, '{file}'")
        if any(folder in place.parents for folder in folders):
            raise click.UsageError(f"{name} '{file}' lies in the bundle; choose another folder")
        taken[place] = name
