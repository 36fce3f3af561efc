"""Time generation beside onnxruntime, PyTorch, OpenVINO, JAX and pythae.

All take turns, and each must compute the same decoder. Prints medians, ratios, and the share of
what the processor's multiply-add units could do at most, as Markdown tables.

    python -m benchmarks.generation                                 all, in a quarter of an hour
    python -m benchmarks.generation --quick --contenders ours,onnxruntime
    python -m benchmarks.generation --only warm --threads 1,2 --rounds 5
    python -m benchmarks.generation --json times.json --plot times.png --force
    python -m benchmarks.generation --from times.json               show them again

Exits with 1 if a contender failed or computes something else.
"""

from __future__ import annotations

import argparse
import signal
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from benchmarks.generation.contenders import ALL, NAMES
from benchmarks.generation.measure import PARTS, QUICK, Settings, measure
from benchmarks.generation.results import FAILED, REFUSED, Results
from benchmarks.generation.tables import tables
from benchmarks.machine import available
from digitvae.base.atomic import new_file
from digitvae.base.errors import DigitVAEError
from digitvae.bundle.folder import Bundle
from digitvae.cli.progress import steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.generation.contenders import Contender


def main(words: Sequence[str] | None = None) -> None:
    """Measure, write and print; ``words`` are by default those of the command line.

    Raises:
        SystemExit: Wrong usage, a file that cannot be read or written, or a contender that failed.
    """
    asked = _parser().parse_args(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what is unfinished is removed
    try:
        results = _results(asked)
    except (DigitVAEError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    for table in tables(results):
        print(table.markdown())
    bad = [one for one in results.outcomes if one.status in {FAILED, REFUSED}]
    if bad:
        sys.exit("; ".join(f"{one.title} {one.status}: {one.detail}" for one in bad))


def _results(asked: argparse.Namespace) -> Results:
    with ExitStack() as stack:
        # Opened first: what cannot be written is told before ten minutes of measuring.
        json_out, plot_out = (
            None if path is None else stack.enter_context(new_file(path, force=asked.force))
            for path in (asked.json, asked.plot)
        )
        if asked.file is None:
            bundle = Bundle.open(asked.bundle)
            TemporaryFile(dir=asked.folder).close()
            on_progress = stack.enter_context(steps())
            results = measure(
                _settings(asked),
                bundle,
                asked.folder,
                contenders=asked.contenders,
                on_progress=on_progress,
            )
        else:
            try:
                results = Results.from_json(asked.file.read_text(encoding="utf-8"))
            except ValueError as error:
                raise DigitVAEError(f"{asked.file} has no results: {error}") from error
        if json_out is not None:
            json_out.write(results.to_json().encode())
        if plot_out is not None:
            from benchmarks.generation.plot import plot

            plot(results, plot_out)
    return results


def _settings(asked: argparse.Namespace) -> Settings:
    chosen = {
        "threads": asked.threads or tuple(sorted({1, available()})),
        "rounds": asked.rounds,
        "parts": asked.only and tuple(dict.fromkeys(asked.only)),
    }
    base = QUICK if asked.quick else Settings()
    return replace(base, **{name: value for name, value in chosen.items() if value})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.generation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="few rounds and sizes: minutes instead of twenty")
    add("--only", choices=PARTS, action="append", help="measure this; may be repeated")
    add(
        "--contenders",
        type=_contenders,
        default=ALL,
        metavar="NAME,…",
        help=f"who takes part, of {', '.join(NAMES)}; by default all that are installed",
    )
    add("--threads", type=_threads, metavar="N,…", help="numbers of threads; default: 1 and all")
    add("--rounds", type=_positive, metavar="N", help="turns of everybody; default: 9, quick: 3")
    add("--json", type=Path, metavar="FILE", help="write all times")
    add("--plot", type=Path, metavar="FILE.png", help="draw a picture")
    add("--bundle", type=Path, metavar="DIR", help="the decoder; default: the shipped one")
    add(
        "--folder",
        type=Path,
        metavar="DIR",
        default=Path(),
        help="on the disk to write to; nothing stays there. Default: the current one",
    )
    add("--force", action="store_true", help="replace the files that exist")
    add("--from", dest="file", type=Path, metavar="FILE", help="show what --json has written")
    return parser


def _contenders(text: str) -> tuple[Contender, ...]:
    names = text.split(",")
    if unknown := [name for name in names if name not in NAMES]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(NAMES)}")
    return tuple(one for one in ALL if one.name in names)


def _threads(text: str) -> tuple[int, ...]:
    numbers = tuple(sorted({_positive(word) for word in text.split(",")}))
    if numbers[-1] > available():
        raise argparse.ArgumentTypeError(f"there are {available()} processors to use")
    return numbers


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not positive")
    return number


if __name__ == "__main__":
    main()
