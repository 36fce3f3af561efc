"""``digitvae decode``: latents to images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from digitvae.cli import options

if TYPE_CHECKING:
    from pathlib import Path


@click.command(
    epilog="""\b
Examples:
  digitvae decode latents.npy -o decoded.npy
  digitvae decode latents.npz -o sheet.png --columns 20
  digitvae decode latents.npy -o decoded.npz --dtype float32
""",
)
@click.argument("latents", type=options.PATH)
@options.output("decoded.npy")
@options.threads
@options.dtype
@options.output_format
@options.columns
@options.scale
@options.bundle
@options.force
@options.as_json
@options.quiet
def decode(
    *,
    latents: Path,
    output: str,
    threads: int | None,
    dtype: options.PixelType,
    output_format: str | None,
    columns: int | None,
    scale: int | None,
    bundle: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Decode latents into images.

    LATENTS is float32 [n, 40] as .npy, or the 'mu' of an .npz. PATH takes the same kinds as for
    generate.
    """
    from digitvae.cli.result import Report
    from digitvae.output import format_of, open_sink

    report = Report("decode", output, as_json=as_json, quiet=quiet)
    kind = format_of(output, output_format)

    from digitvae.cli.inputs import latent_chunks, read_latents
    from digitvae.cli.progress import progress
    from digitvae.engine.model import load

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
