"""``digitvae encode``: images to latents."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer evaluates the annotations
from typing import Annotated, Literal

import typer

from digitvae.cli import options  # noqa: TC001 - typer evaluates the annotations


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="encode")(encode)


def encode(
    *,
    images: Annotated[
        Path,
        typer.Argument(metavar="IMAGES", help="An .npy, .npz, IDX or PNG file, or a PNG folder."),
    ],
    output: options.Output = "latents.npy",
    threads: options.Threads = None,
    output_format: Annotated[
        Literal["npy", "npz"] | None,
        typer.Option("--format", help="Kind of output; by default the extension of PATH decides."),
    ] = None,
    bundle: options.BundleFolder = None,
    force: options.Force = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Encode images into the Gaussian q(z|x) of each.

    A .npy file gets the means, float32 [n, 40]; a .npz file gets the means as 'mu' and the
    logarithms of the variances as 'logvar'.
    """
    from digitvae.cli.result import Report
    from digitvae.sinks.latents import latent_format, save_latents

    report = Report("encode", output, as_json=as_json, quiet=quiet)
    kind = latent_format(output, output_format)

    import numpy as np

    from digitvae.cli.inputs import image_chunks, read_images
    from digitvae.cli.progress import progress
    from digitvae.engine import load

    model = load(bundle)
    x = read_images(images, model.height, model.width)
    mu = np.empty((len(x), model.latent_dim), np.float32)
    logvar = np.empty_like(mu)
    with progress("encoding", len(x), quiet=quiet) as advance:
        for start, chunk in image_chunks(images, x):
            rows = slice(start, start + len(chunk))
            mu[rows], logvar[rows] = model.encode(chunk, threads=threads)
            advance(len(chunk))
    arrays = {"mu": mu, "logvar": logvar} if kind == "npz" else {"mu": mu}
    save_latents(output, arrays, format=kind, force=force)
    report.finish(model, "latents", len(x), {"format": kind, "input": str(images)})
