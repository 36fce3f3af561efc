"""``digitvae export``: run directory in, verified bundle out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from digitvae.cli import options

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("run", type=options.PATH)
@click.option(
    "--out", type=options.PATH, metavar="BUNDLE", required=True, help="The bundle to make."
)
@options.data
@click.option("--force", is_flag=True, help="Replace the bundle that is there.")
@click.option("--allow-collapsed", is_flag=True, help="Export even a collapsed model.")
@options.as_json
def export(
    *,
    run: Path,
    out: Path,
    data: Path | None,
    force: bool,
    allow_collapsed: bool,
    as_json: bool,
) -> None:
    """Export a trained model as ONNX, TorchScript and ExportedProgram, and verify the three.

    RUN is a finished run directory.
    """
    from digitvae.cli.train import require_torch

    require_torch(also=("onnx", "onnxscript"))
    from digitvae.bundle import Bundle
    from digitvae.export import export_run

    folder = export_run(
        run,
        out,
        force=force,
        allow_collapsed=allow_collapsed,
        data_root=data,
        say=lambda line: click.echo(line, err=True),
    )
    manifest = Bundle.open(folder).manifest
    if as_json:
        click.echo(json.dumps(manifest, indent=2, ensure_ascii=False))
        return
    size = sum(entry["bytes"] for entry in manifest["files"].values())
    click.echo(f"{folder}: {len(manifest['files'])} files, {size / 1e6:.1f} MB, parity holds")
