"""``digitvae decode``: latents to images."""

from __future__ import annotations

from pathlib import Path

import click

from digitvae.cli import options
from digitvae.cli.images import ImageOutput, image_output


@click.command(
    epilog="""\b
Examples:
  digitvae decode latents.npy -o decoded.npy
  digitvae decode latents.npz -o sheet.png --columns 20
  digitvae decode latents.npy -o decoded.npz --dtype float32
""",
)
@click.argument("latents", type=options.PATH)
@image_output("decoded.npy")
def decode(*, latents: Path, to: ImageOutput) -> None:
    """Decode latents into images.

    LATENTS is float32 [n, latents] as .npy, or the 'mu' of an .npz. PATH takes the same kinds as
    for generate.
    """
    from digitvae.cli.inputs import chunks, read_latents

    z = read_latents(latents, to.model.latent_dim)
    with to.open("decoding", len(z)) as (sink, advance):
        for _, chunk in chunks(latents, z):
            sink.write(memoryview(to.model.decode(chunk, dtype=to.dtype, threads=to.threads)))
            advance(len(chunk))
    to.finish("digits", len(z), {"input": str(latents)})
