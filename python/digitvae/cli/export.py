"""``digitvae export``: run directory in, verified bundle out."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - typer evaluates the annotations
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="export")(export)


def export(
    *,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run directory.")],
    out: Annotated[Path, typer.Option(metavar="BUNDLE", help="The bundle to make.")],
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder that holds the data set already.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the bundle that is there.")
    ] = False,
    allow_collapsed: Annotated[
        bool, typer.Option("--allow-collapsed", help="Export even a collapsed model.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Export a trained model as ONNX, TorchScript and ExportedProgram, and verify the three."""
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
        say=lambda line: typer.echo(line, err=True),
    )
    manifest = Bundle.open(folder).manifest
    if as_json:
        typer.echo(json.dumps(manifest, indent=2, ensure_ascii=False))
        return
    size = sum(entry["bytes"] for entry in manifest["files"].values())
    typer.echo(f"{folder}: {len(manifest['files'])} files, {size / 1e6:.1f} MB, parity holds")
