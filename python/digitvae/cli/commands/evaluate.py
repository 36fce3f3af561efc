"""``digitvae evaluate``: how good are a model and the digits that it makes?"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from digitvae.cli import numbers, options
from digitvae.cli.places import require_places
from digitvae.cli.progress import steps
from digitvae.cli.say import say_json, say_lines, tell
from digitvae.cli.tables import print_table

if TYPE_CHECKING:
    from digitvae.evaluation.report import EvaluationReport


@click.command(
    short_help="Measure likelihood, latents and samples of a model.",
    epilog="""\b
Examples:
  digitvae evaluate                          the shipped bundle
  digitvae evaluate DIR --quick              in some seconds
  digitvae evaluate DIR --html report.html   a page with pictures
  digitvae evaluate DIR --compare OTHER      two models by the same measures
  digitvae evaluate DIR --update             results and a picture into its model card
""",
)
@click.argument("bundle", type=options.PATH, required=False)
@click.option("--quick", is_flag=True, help="Look at fewer images.")
@options.number(
    "--draws",
    low=200,
    high=1_000_000,
    help="Images from each source. [default: 10000, quick: 2000]",
)
@options.number("--seed", low=0, high=numbers.MAX_SEED, default=0, help="Seed of all draws.")
@options.data
@click.option("--compare", type=options.PATH, metavar="BUNDLE", help="Measure another bundle, too.")
@options.as_json
@click.option(
    "--html", "html_file", type=options.PATH, metavar="FILE", help="Write a page with pictures."
)
@click.option(
    "--png", "png_file", type=options.PATH, metavar="FILE", help="Write the pictures alone."
)
@click.option(
    "--update",
    is_flag=True,
    help="Write the result into BUNDLE: evaluation.json, samples.png, the manifest's metrics, and "
    "the model card README.md. Refused if what is there looked at more, unless --force.",
)
@options.force
def evaluate(
    *,
    bundle: Path | None,
    quick: bool,
    draws: int | None,
    seed: int,
    data: Path | None,
    compare: Path | None,
    as_json: bool,
    html_file: Path | None,
    png_file: Path | None,
    update: bool,
    force: bool,
) -> None:
    """Measure likelihood, latents, samples, memorization and interpolations of a model.

    Without BUNDLE: the one that is shipped. docs/evaluation.md says what each measure is.
    """
    if update and bundle is None:
        raise click.UsageError("--update needs BUNDLE: the folder to write into")
    require_places({"--html": html_file, "--png": png_file}, {}, [bundle, compare])
    from digitvae.cli.requirements import require_torch

    require_torch(also=(*(["jinja2"] if html_file else []), *(["yaml"] if update else [])))
    from digitvae.base.atomic import new_file
    from digitvae.evaluation.bundle import evaluate_bundle
    from digitvae.evaluation.options import settings

    sizes = settings(seed=seed, draws=draws, quick=quick)
    if update and bundle is not None and not force:
        from digitvae.bundle.folder import Bundle
        from digitvae.evaluation.update import refuse_loss

        # What would be refused is told before a minute of measuring, too.
        refuse_loss(Bundle.open(bundle), sizes)
    with ExitStack() as stack:
        # Opened first: what cannot be written is told before a minute of measuring.
        html_out, png_out = (
            None if path is None else stack.enter_context(new_file(path, force=force))
            for path in (html_file, png_file)
        )
        with steps() as on_progress:
            reports = [
                evaluate_bundle(
                    folder,
                    sizes,
                    data_root=data,
                    pictures=update or html_out is not None or png_out is not None,
                    say=tell,
                    on_progress=on_progress,
                )
                for folder in ([bundle] if compare is None else [bundle, compare])
            ]
        if html_out is not None:
            from digitvae.evaluation.views.html import to_html

            html_out.write(to_html(reports).encode())
        if png_out is not None:
            from digitvae.evaluation.views.sheet import to_png

            png_out.write(to_png(reports))
    if update and bundle is not None:
        from digitvae.evaluation.update import write_evaluation

        write_evaluation(bundle, reports[0], force=force)
    _show(reports, as_json=as_json)


def _show(reports: list[EvaluationReport], *, as_json: bool) -> None:
    from digitvae.evaluation.views.tables import tables

    if as_json:
        result = reports[0].to_dict()
        if len(reports) > 1:
            result["compared"] = reports[1].to_dict()
        say_json(result, indent=2)
    else:
        for table in tables(reports):
            if sys.stdout.isatty():
                print_table(table)
            else:
                say_lines(table.markdown())
    for report in reports:
        if report.heldout.collapsed:
            tell(f"WARNING: {report.bundle}: {report.heldout.collapse_message()}")
