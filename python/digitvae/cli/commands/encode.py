"""``digitvae encode``: images to latents."""

from __future__ import annotations

from pathlib import Path

import click

from digitvae.cli import options


@click.command(
    short_help="Encode images into the Gaussian q(z|x) of each.",
    epilog="""\b
Examples:
  digitvae encode digits.npy                    means, into latents.npy
  digitvae encode digits.npy -o latents.npz     means and variances
  digitvae encode folder -o - --format npy | python analyse.py
""",
)
@click.argument("images", type=options.PATH)
@options.output("latents.npy")
@options.threads
@options.kind_option("npy", "npz")
@options.bundle
@options.force
@options.as_json
@options.quiet
def encode(
    *,
    images: Path,
    output: str,
    threads: int | None,
    output_format: str | None,
    bundle: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Encode images into the Gaussian q(z|x) of each.

    IMAGES is an .npy, .npz, IDX or PNG file, or a folder of PNGs. A .npy output gets the means,
    float32 [n, latents]; a .npz output the means as 'mu' and the logarithms of the variances as
    'logvar'.
    """
    from digitvae.cli.result import Report
    from digitvae.output.latents import latent_format, save_latents

    report = Report("encode", output, as_json=as_json, quiet=quiet)
    kind = latent_format(output, output_format)

    import numpy as np

    from digitvae.cli.inputs import chunks, read_images
    from digitvae.cli.progress import progress
    from digitvae.engine.model import load

    model = load(bundle)
    x = read_images(images, model.height, model.width)
    mu = np.empty((len(x), model.latent_dim), np.float32)
    logvar = np.empty_like(mu)
    with progress("encoding", len(x), quiet=quiet) as advance:
        for start, chunk in chunks(images, x):
            rows = slice(start, start + len(chunk))
            mu[rows], logvar[rows] = model.encode(chunk, threads=threads)
            advance(len(chunk))
    arrays = {"mu": mu, "logvar": logvar} if kind == "npz" else {"mu": mu}
    save_latents(output, arrays, format=kind, force=force)
    report.finish(model.bundle, "latents", len(x), {"format": kind, "input": str(images)})
