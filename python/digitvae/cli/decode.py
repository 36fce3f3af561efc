"""``digitvae decode``: latents to images."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer evaluates the annotations
from typing import Annotated

import typer

from digitvae.cli import options  # noqa: TC001 - typer evaluates the annotations


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="decode")(decode)


def decode(
    *,
    latents: Annotated[
        Path,
        typer.Argument(metavar="LATENTS", help="float32 [n, 40] as .npy, or 'mu' of an .npz."),
    ],
    output: options.Output = "decoded.npy",
    threads: options.Threads = None,
    dtype: options.PixelType = "uint8",
    output_format: options.OutputFormat = None,
    columns: options.Columns = None,
    scale: options.Scale = None,
    bundle: options.BundleFolder = None,
    force: options.Force = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Decode latents into images. PATH takes the same kinds as for generate."""
    from digitvae.cli.result import Report
    from digitvae.sinks import format_of, open_sink

    report = Report("decode", output, as_json=as_json, quiet=quiet)
    kind = format_of(output, output_format)

    from digitvae.cli.inputs import latent_chunks, read_latents
    from digitvae.cli.progress import progress
    from digitvae.engine import load

    model = load(bundle)
    z = read_latents(latents, model.latent_dim)
    with (
        open_sink(
            output,
            count=len(z),
            format=kind,
            dtype=dtype,
            height=model.height,
            width=model.width,
            columns=columns,
            scale=scale,
            force=force,
        ) as sink,
        progress("decoding", len(z), quiet=quiet) as advance,
    ):
        for _, chunk in latent_chunks(latents, z):
            sink.write(memoryview(model.decode(chunk, dtype=dtype, threads=threads)))
            advance(len(chunk))
    report.finish(model, "digits", len(z), {"format": kind, "dtype": dtype, "input": str(latents)})
