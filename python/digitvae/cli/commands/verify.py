"""``digitvae verify``: does every form of a model compute what PyTorch computes?"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from digitvae.cli import options
from digitvae.cli.places import require_places
from digitvae.cli.progress import steps
from digitvae.cli.say import say_json, say_lines
from digitvae.cli.tables import print_table

if TYPE_CHECKING:
    from pathlib import Path

    from digitvae.parity import ParityReport

_FILE = options.PATH
_OF_BUNDLES = {"bundle", "data", "require_data", "self_test", "trust", "update"}
_OF_MODULES = {
    "onnx_file",
    "torchscript",
    "exported_program",
    "inputs",
    "shape",
    "sizes",
    "tolerance",
}


@click.command(
    short_help="Compare all forms of a model with float64 truth and PyTorch.",
    epilog="""\b
Examples:
  digitvae verify                                  the shipped bundle
  digitvae verify DIR --quick                      in some seconds
  digitvae verify DIR --html report.html           a page with pictures
  digitvae verify DIR --baseline DIR/parity.json   fails if it got worse
  digitvae verify --torch package.module:make_model --onnx model.onnx
""",
)
@click.argument("bundle", type=_FILE, required=False)
@click.option("--quick", is_flag=True, help="Fewer inputs, and no search.")
@options.number(
    "--draws",
    low=1,
    high=1_000_000,
    help="Draws to compare. [default: 100000, quick: 1024; other models: 128, 16]",
)
@options.data
@click.option("--require-data", is_flag=True, help="Fail when the data set cannot be had.")
@options.number(
    "--threads", low=1, high=1024, help="Comparisons at a time. [default: all processors]"
)
@click.option(
    "--self-test", is_flag=True, help="Also damage copies and demand that each is caught."
)
@click.option(
    "--baseline", type=_FILE, metavar="FILE", help="Fail if it got worse than this JSON report."
)
@click.option(
    "--trust", is_flag=True, help="Load TorchScript and .pt2 of BUNDLE: they may run any code."
)
@click.option("--update", is_flag=True, help="If it passes, make the report BUNDLE's parity.json.")
@click.option("--details", is_flag=True, help="Print every comparison and every check.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--html", "html_file", type=_FILE, metavar="FILE", help="Write a page with pictures.")
@click.option("--junit", "junit_file", type=_FILE, metavar="FILE", help="Write JUnit XML.")
@options.force
@click.option(
    "--torch",
    "factory",
    metavar="MODULE:NAME",
    help="Verify another model: what makes it, as package.module:factory.",
)
@click.option("--onnx", "onnx_file", type=_FILE, metavar="FILE", help="Its ONNX export.")
@click.option(
    "--torchscript",
    type=_FILE,
    metavar="FILE",
    help="Its TorchScript export; loaded, it may run code.",
)
@click.option(
    "--exported-program",
    type=_FILE,
    metavar="FILE",
    help="Its .pt2 export; loaded, it may run code.",
)
@click.option("--inputs", type=_FILE, metavar="FILE.npy", help="Its inputs, float32 [n, …].")
@click.option("--shape", metavar="N,…", help="Shape of one input, if the ONNX file leaves it open.")
@click.option(
    "--size",
    "sizes",
    multiple=True,
    metavar="NAME=N,…",
    help="Sizes of an axis that the ONNX file leaves open, by its name. [default: three]",
)
@click.option(
    "--tolerance",
    type=float,
    help="|Δ| to allow, relative above 1, where an operation has no derived limit.",
)
def verify(
    *,
    bundle: Path | None,
    quick: bool,
    draws: int | None,
    data: Path | None,
    require_data: bool,
    threads: int | None,
    self_test: bool,
    trust: bool,
    update: bool,
    baseline: Path | None,
    details: bool,
    as_json: bool,
    html_file: Path | None,
    junit_file: Path | None,
    force: bool,
    factory: str | None,
    onnx_file: Path | None,
    torchscript: Path | None,
    exported_program: Path | None,
    inputs: Path | None,
    shape: str | None,
    sizes: tuple[str, ...],
    tolerance: float | None,
) -> None:
    """Compare every exported form of a model with float64 truth, PyTorch, and each other.

    Without BUNDLE: the one that is shipped. With --torch and --onnx: another PyTorch module of
    one input.

    A bundle is data, and nothing in it runs: its TorchScript and .pt2 are loaded only if they are
    byte for byte what this version writes from its weights, or with --trust. Another model's files
    are loaded as they are named, and its module is imported: both run what their author wrote.

    Exits with 1 if anything deviates more than rounding explains, and names it.
    """
    _require_fitting(click.get_current_context())
    if update and bundle is None:
        raise click.UsageError("--update needs BUNDLE: the folder to write into")
    require_places(
        {"--html": html_file, "--junit": junit_file},
        {
            "--baseline": baseline,
            "--onnx": onnx_file,
            "--torchscript": torchscript,
            "--exported-program": exported_program,
            "--inputs": inputs,
        },
        [bundle],
    )
    from digitvae.cli.requirements import PARITY_NEEDS, require_torch

    views = {"jinja2": html_file, "junitparser": junit_file}
    require_torch(also=(*PARITY_NEEDS, *(name for name, file in views.items() if file)))
    from digitvae.base.atomic import new_file
    from digitvae.parity.report.baseline import compared_with, read_baseline

    before = None if baseline is None else read_baseline(baseline)
    with ExitStack() as stack:
        # Opened first: what cannot be written is told before a minute of comparing.
        html_out, junit_out = (
            None if path is None else stack.enter_context(new_file(path, force=force))
            for path in (html_file, junit_file)
        )
        with steps() as on_progress:
            if factory is None:
                from digitvae.bundle.folder import shipped_path
                from digitvae.parity import verify as verify_bundle

                folder = bundle or shipped_path()
                report = verify_bundle(
                    folder,
                    trust=trust,
                    quick=quick,
                    draws=draws,
                    data_root=data,
                    threads=threads,
                    require_data=require_data,
                    pictures=html_file is not None,
                    on_progress=on_progress,
                )
                if self_test:
                    from digitvae.parity.gate import gate_tested

                    report = gate_tested(report, folder, trust=trust, on_progress=on_progress)
            else:
                from digitvae.parity.module import Files, verify_model

                assert onnx_file is not None
                report = verify_model(
                    factory,
                    Files(onnx_file, torchscript, exported_program),
                    shape=None if shape is None else _numbers(shape, "--shape"),
                    sizes=_sizes(sizes),
                    inputs=inputs,
                    tolerance=tolerance,
                    quick=quick,
                    draws=draws,
                    threads=threads,
                    on_progress=on_progress,
                )
        if before is not None:
            report = compared_with(report, before)
        if html_out is not None:
            from digitvae.parity.report.html import to_html

            html_out.write(to_html(report).encode())
        if junit_out is not None:
            from digitvae.parity.report.junit import to_junit

            junit_out.write(to_junit(report).encode())
    if update and report.passed and bundle is not None:
        from digitvae.parity.report.update import write_report

        write_report(bundle, report, force=force)
    _show(report, as_json=as_json, details=details)


def _require_fitting(context: click.Context) -> None:
    """Refuse options of the one use together with those of the other."""
    given = context.params
    if given["factory"] is None:
        others, why = _OF_MODULES, "is for other models, which --torch names"
    else:
        others, why = _OF_BUNDLES, "is for bundles; --torch names another model"
        if given["onnx_file"] is None:
            raise click.UsageError("--torch needs --onnx: the file that was exported")
    for parameter in context.command.params:
        value = given.get(str(parameter.name)) if parameter.name in others else None
        if value is not None and value is not False and value != ():
            name = parameter.opts[0] if isinstance(parameter, click.Option) else "BUNDLE"
            raise click.UsageError(f"{name} {why}")


def _numbers(text: str, option: str) -> tuple[int, ...]:
    from digitvae.cli.numbers import parse_whole

    try:
        return tuple(parse_whole(word, 1, 1 << 24) for word in text.split(","))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from error


def _sizes(words: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """``time=5,8`` of each, by name."""
    found = {}
    for word in words:
        name, equals, numbers = word.rpartition("=")
        if not (name and equals):
            raise click.BadParameter(f"{word!r} is not NAME=N,…, as time=5,8", param_hint="--size")
        found[name] = _numbers(numbers, "--size")
    return found


def _show(report: ParityReport, *, as_json: bool, details: bool) -> None:
    from digitvae.base.errors import ParityError
    from digitvae.parity.report.tables import tables

    if as_json:
        say_json(report.to_dict(), indent=2)
    else:
        for table in tables(report, details=details):
            if sys.stdout.isatty():
                print_table(table)
            else:
                say_lines(f"{table}\n")
    if not report.passed:
        raise ParityError(*report.summary().split("\n  "))
    if not as_json:
        say_lines(report.summary())
