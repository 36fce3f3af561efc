"""``digitvae info``: what is in a bundle, and which ONNX Runtime would run it."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - typer evaluates the annotations
from typing import Annotated, Any

import typer

from digitvae.cli import options  # noqa: TC001 - typer evaluates the annotations


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="info")(info)


def info(
    *,
    bundle: Annotated[
        Path | None,
        typer.Argument(metavar="BUNDLE", help="A bundle; by default the one that is shipped."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Read every file and check its SHA-256.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Show what a bundle holds and which ONNX Runtime library would run it."""
    from digitvae.bundle import Bundle
    from digitvae.errors import RuntimeLibraryError
    from digitvae.runtime import open_runtime

    opened = Bundle.open(bundle)
    if check:
        opened.check_files()
    try:
        library = open_runtime()
    except RuntimeLibraryError as error:
        # A bundle can be looked at without it.
        runtime = {"error": str(error)}
    else:
        runtime = {"version": library.version, "library": library.path}
    if as_json:
        result = {
            "path": str(opened.path),
            "bundle_sha256": opened.sha256,
            "checked": check,
            "manifest": opened.manifest,
            "runtime": runtime,
        }
        typer.echo(json.dumps(result))
        return
    typer.echo(f"bundle    {opened.path}")
    typer.echo(f"sha256    {opened.sha256}")
    for line in _describe(opened.manifest):
        typer.echo(line)
    if check:
        typer.echo("checked   every SHA-256 is right")
    if "error" in runtime:
        typer.echo(f"runtime   not available: {runtime['error']}")
    else:
        typer.echo(f"runtime   ONNX Runtime {runtime['version']}, {runtime['library']}")


def _describe(manifest: dict[str, Any]) -> list[str]:
    """The manifest as aligned lines. Only ``schema``, ``dims`` and ``files`` are sure to exist."""
    dims = manifest["dims"]
    pixels = dims["height"] * dims["width"]
    lines = [
        f"schema    {manifest['schema']}",
        f"network   {pixels} → {dims['hidden']} → {dims['latent']} latents → {dims['hidden']} → "
        f"{pixels}, images {dims['height']} × {dims['width']}",
    ]
    training = [
        f"{key} {manifest[key]}"
        for key in ("dataset", "objective", "epochs", "seed")
        if key in manifest
    ]
    if training:
        lines.append(f"training  {', '.join(training)}")
    for heading, key in (("metrics", "metrics"), ("made by", "tools")):
        values = manifest.get(key)
        if isinstance(values, dict):
            for name, value in sorted(values.items()):
                shown = f"{value:.6g}" if isinstance(value, float) else str(value)
                lines.append(f"{heading:<8}  {name} {shown}")
                heading = ""  # noqa: PLW2901 (once is enough)
    heading = "files"
    width = max(len(name) for name in manifest["files"])
    for name, entry in sorted(manifest["files"].items()):
        lines.append(f"{heading:<8}  {name:<{width}}  {entry['bytes']:>9,}  {entry['sha256']}")
        heading = ""
    return lines
