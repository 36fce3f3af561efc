"""``digitvae bench``: how fast, beside other ways to run the decoder and the machine's limits."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from digitvae.cli import options
from digitvae.cli.numbers import parse_whole
from digitvae.cli.progress import steps
from digitvae.cli.say import say_lines
from digitvae.cli.tables import print_table

if TYPE_CHECKING:
    from pathlib import Path

    from digitvae.bench.contenders import Contender
    from digitvae.bench.results import Results
    from digitvae.bench.settings import Settings

_PARTS = click.Choice(["warm", "latency", "process", "limits"])


@click.command(
    short_help="Time generation beside other runtimes.",
    epilog="""\b
Examples:
  digitvae bench                                     all, in twenty minutes
  digitvae bench --quick --contenders ours,onnxruntime
  digitvae bench --only warm --threads 1,2 --rounds 5
  digitvae bench --json times.json --plot times.png --force
  digitvae bench --from times.json --markdown        show them again
""",
)
@click.option("--quick", is_flag=True, help="Few rounds and sizes: some minutes instead of twenty.")
@click.option("--only", "parts", type=_PARTS, multiple=True, help="Measure this; may be repeated.")
@click.option(
    "--contenders",
    metavar="NAME,…",
    help="Who takes part: ours, onnxruntime, torch, torchscript, compile, openvino, jax, pythae. "
    "By default all that are installed.",
    shell_complete=options.complete_words(
        "ours", "onnxruntime", "torch", "torchscript", "compile", "openvino", "jax", "pythae"
    ),
)
@click.option("--threads", metavar="N,…", help="Numbers of threads. [default: 1 and all]")
@options.number("--rounds", low=1, high=1000, help="Turns of everybody. [default: 9, quick: 3]")
@click.option("--json", "json_file", type=options.PATH, metavar="FILE", help="Write all times.")
@click.option("--plot", "plot_file", type=options.PATH, metavar="FILE.png", help="Draw a picture.")
@click.option("--markdown", is_flag=True, help="Print Markdown on a terminal too.")
@options.bundle
@click.option(
    "--folder",
    type=options.PATH,
    metavar="DIR",
    default=".",
    help="Folder on the disk to write to; nothing stays there. [default: the current one]",
)
@click.option("--force", is_flag=True, help="Replace the files that exist.")
@click.option(
    "--from",
    "from_file",
    type=options.PATH,
    metavar="FILE",
    help="Measure nothing: show the results of a file that --json has written.",
)
def bench(
    *,
    quick: bool,
    parts: tuple[str, ...],
    contenders: str | None,
    threads: str | None,
    rounds: int | None,
    json_file: Path | None,
    plot_file: Path | None,
    markdown: bool,
    bundle: Path | None,
    folder: Path,
    force: bool,
    from_file: Path | None,
) -> None:
    """Time generation beside onnxruntime, PyTorch, OpenVINO, JAX and pythae.

    All take turns, and each must compute the same decoder. Prints medians, ratios, and the share of
    what the processor's multiply-add units could do at most.

    Exits with 1 if a contender failed or computes something else.
    """
    from digitvae.base.atomic import new_file
    from digitvae.base.errors import DigitVAEError

    if plot_file is not None:
        _require_matplotlib()
    with ExitStack() as stack:
        # Opened first: what cannot be written is told before ten minutes of measuring.
        json_out, plot_out = (
            None if path is None else stack.enter_context(new_file(path, force=force))
            for path in (json_file, plot_file)
        )
        if from_file is None:
            settings = _settings(quick=quick, parts=parts, threads=_threads(threads), rounds=rounds)
            results = _measure(settings, _chosen(contenders), bundle, folder)
        else:
            results = _load(from_file)
        if json_out is not None:
            json_out.write(results.to_json().encode())
        if plot_out is not None:
            from digitvae.bench.plot import plot

            plot(results, plot_out)
    _print(results, markdown=markdown)
    bad = [one for one in results.outcomes if one.status in ("failed", "refused")]
    if bad:
        raise DigitVAEError("; ".join(f"{one.title} {one.status}: {one.detail}" for one in bad))


def _settings(
    *, quick: bool, parts: tuple[str, ...], threads: tuple[int, ...], rounds: int | None
) -> Settings:
    from digitvae.bench.settings import QUICK, Settings

    base = replace(QUICK if quick else Settings(), threads=threads)
    if parts:
        base = replace(base, parts=tuple(dict.fromkeys(parts)))
    return base if rounds is None else replace(base, rounds=rounds)


def _threads(text: str | None) -> tuple[int, ...]:
    from digitvae.bench.processors import available

    if text is None:
        return tuple(sorted({1, available()}))
    try:
        return tuple(sorted({parse_whole(word, 1, available()) for word in text.split(",")}))
    except ValueError as error:
        raise click.BadParameter(f"{error} (processors to use)", param_hint="--threads") from error


def _chosen(text: str | None) -> tuple[Contender, ...]:
    from digitvae.bench.contenders import ALL, NAMES

    if text is None:
        return ALL
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in NAMES:
            raise click.BadParameter(
                f"{name!r} is none of {', '.join(NAMES)}", param_hint="--contenders"
            )
    return tuple(one for one in ALL if one.name in names)


def _require_matplotlib() -> None:
    from importlib.util import find_spec

    from digitvae.base.errors import DigitVAEError

    if find_spec("matplotlib") is None:
        raise DigitVAEError("--plot needs matplotlib: pip install 'digitvae[bench]'")


def _measure(
    settings: Settings, contenders: tuple[Contender, ...], bundle: Path | None, folder: Path
) -> Results:
    from tempfile import TemporaryFile

    from digitvae.base.atomic import output_errors
    from digitvae.bench.run import run
    from digitvae.bundle.folder import Bundle

    opened = Bundle.open(bundle)
    with output_errors(folder):
        TemporaryFile(dir=folder).close()
    with steps() as on_progress:
        return run(settings, opened, folder, contenders=contenders, on_progress=on_progress)


def _load(file: Path) -> Results:
    from digitvae.base.errors import DigitVAEError
    from digitvae.bench.results import Results

    try:
        return Results.from_json(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DigitVAEError(f"{file} has no results of digitvae bench: {error}") from error


def _print(results: Results, *, markdown: bool) -> None:
    from digitvae.bench.tables import tables

    for table in tables(results):
        if markdown or not sys.stdout.isatty():
            say_lines(table.markdown())
        else:
            print_table(table, note=table.note)
