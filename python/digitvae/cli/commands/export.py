"""``digitvae export``: run directory in, verified bundle out."""

from __future__ import annotations

from pathlib import Path

import click

from digitvae.cli import options
from digitvae.cli.progress import steps
from digitvae.cli.say import say, say_json, tell


@click.command(
    short_help="Export a trained model as a verified bundle.",
    epilog="""\b
Examples:
  digitvae export RUN --out DIR
  digitvae export RUN --out DIR --quick --force    again, verified in seconds
  digitvae export RUN --out DIR --no-prior         without digits by class
""",
)
@click.argument("run", type=options.PATH)
@click.option(
    "--out", type=options.PATH, metavar="BUNDLE", required=True, help="The bundle to make."
)
@options.data
@click.option("--force", is_flag=True, help="Replace the bundle that is there.")
@click.option("--allow-collapsed", is_flag=True, help="Export even a collapsed model.")
@click.option("--no-prior", is_flag=True, help="Fit no latent mixture: no digits by class.")
@click.option("--quick", is_flag=True, help="Verify with fewer inputs: 1,024 draws.")
@options.as_json
def export(
    *,
    run: Path,
    out: Path,
    data: Path | None,
    force: bool,
    allow_collapsed: bool,
    no_prior: bool,
    quick: bool,
    as_json: bool,
) -> None:
    """Export a trained model as ONNX, TorchScript and ExportedProgram, and verify the three.

    A latent mixture per class is fitted to the images that the run was trained on (but to no fewer
    than 4,096, see docs/prior.md). For MNIST and Fashion-MNIST a model card for the
    Hugging Face hub is written, README.md; `digitvae evaluate BUNDLE --update` puts measurements of
    samples and a picture into it.

    On two cores fitting takes half a minute for all 60,000 images, verifying up to a minute, with
    --quick ten seconds.

    RUN is a finished run directory.
    """
    from digitvae.cli.requirements import PARITY_NEEDS, require_torch

    require_torch(also=("onnx", "onnxscript", "sklearn", "yaml", *PARITY_NEEDS))
    from digitvae.bundle.folder import Bundle
    from digitvae.export.bundle import export_run

    with steps() as on_progress:
        folder = export_run(
            run,
            out,
            force=force,
            allow_collapsed=allow_collapsed,
            prior=not no_prior,
            data_root=data,
            quick=quick,
            say=tell,
            on_progress=on_progress,
        )
    manifest = Bundle.open(folder).manifest
    if as_json:
        say_json(manifest, indent=2)
        return
    size = sum(entry["bytes"] for entry in manifest["files"].values())
    say(f"{folder}: {len(manifest['files'])} files, {size / 1e6:.1f} MB, parity holds")
