"""The example `digits` in Python: generate handwritten digits into a file."""

from __future__ import annotations

import argparse
import os
import signal
import struct
import sys
from contextlib import closing, contextmanager
from ctypes.util import find_library
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from libdigitvae import INVALID_ARGUMENT, Decoder, DigitvaeError, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 128 + signal.SIGINT
MOST_COLUMNS = 20
ROWS_AT_A_TIME = 64
MOST_IN_IDX = 2**32 - 1


class UsageError(Exception):
    """A mistake on the command line, as opposed to a failure at work."""


class Parser(argparse.ArgumentParser):
    """With messages of one line."""

    def error(self, message: str) -> NoReturn:
        """Have it told where all errors are."""
        raise UsageError(message)


def whole_number(least: int, bits: int) -> Callable[[str], int]:
    """A parser of numbers from `least` to what fits into `bits`."""
    most = 2**bits - 1

    def parse(text: str) -> int:
        if text.isascii() and text.isdigit() and len(text) <= len(str(most)):
            number = int(text)
            if least <= number <= most:
                return number
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from {least} to {most}")

    return parse


def parse_options() -> argparse.Namespace:
    """The options of the command line."""
    parser = Parser(prog="digits.py", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("--model", type=Path, required=True, help="decoder.onnx of a bundle")
    add("--output", type=Path, required=True, help=".pgm: one picture; .idx: the format of MNIST")
    add("--seed", type=whole_number(0, 64), default=0, help="which sequence of digits (default 0)")
    add("--first", type=whole_number(0, 64), default=0, help="index of the first one (default 0)")
    add("--count", type=whole_number(1, 64), default=100, help="how many (default 100)")
    add("--threads", type=whole_number(0, 32), default=0, help="default: one per processor")
    add("--force", action="store_true", help="overwrite the output file")
    add("--library", help="libdigitvae (default: where the system's loader finds it)")
    add(
        "--ort-library", type=Path, help="ONNX Runtime (default: $DIGITVAE_ORT_LIBRARY, the loader)"
    )
    return parser.parse_args()


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that is there whole or not at all."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("xb") as file:  # x: never somebody else's file
            try:
                yield file
                file.flush()  # on a full disk, the first to notice
                temporary.replace(path)
            except BaseException:
                temporary.unlink()
                raise
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror}") from error


def rows_of_digits(images: bytes, height: int, width: int, columns: int) -> bytes:
    """Images side by side, `columns` in a row, with black where the last row has none."""
    lines = [images[start : start + width] for start in range(0, len(images), width)]
    rows = (
        lines[start : start + columns * height] for start in range(0, len(lines), columns * height)
    )
    return b"".join(
        b"".join(row[y::height]).ljust(columns * width, b"\0")
        for row in rows
        for y in range(height)
    )


def generate(options: argparse.Namespace) -> None:
    """Write what was asked for."""
    # Before any work: a mistake should cost no time.
    path, count = options.output, options.count
    if path.suffix not in {".pgm", ".idx"}:
        raise UsageError(f"the output {path} ends in neither .pgm nor .idx")
    as_sheet = path.suffix == ".pgm"
    if not as_sheet and count > MOST_IN_IDX:
        raise UsageError(f"an .idx file holds at most {MOST_IN_IDX} images")
    if path.exists() and not options.force:
        raise UsageError(f"{path} exists; --force overwrites it")

    # Only noted: raised just anywhere, KeyboardInterrupt could be lost inside of ctypes.
    interrupts: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _frame: interrupts.append(number))

    # ONNX Runtime would report its use over the network.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    library = load(options.library or find_library("digitvae") or "libdigitvae.so.1")
    with (
        closing(Decoder(library, options.model, options.ort_library)) as decoder,
        new_file(path) as file,
    ):
        height, width = decoder.height, decoder.width
        columns = min(count, MOST_COLUMNS)
        if as_sheet:
            rows = (count - 1) // columns + 1
            file.write(b"P5\n%d %d\n255\n" % (columns * width, rows * height))
        else:
            file.write(struct.pack(">4I", 0x0803, count, height, width))

        def write(images: bytes) -> None:
            if interrupts:
                raise KeyboardInterrupt
            file.write(rows_of_digits(images, height, width, columns) if as_sheet else images)

        decoder.stream(
            count,
            write,
            seed=options.seed,
            first=options.first,
            threads=options.threads,
            chunk=ROWS_AT_A_TIME * columns if as_sheet else 0,
        )


def main() -> int:
    """Generate, and say in one line what went wrong; the exit status."""
    try:
        generate(parse_options())
    except UsageError as error:
        message, status = f"{error} (--help lists the options)", WRONG_USAGE
    except DigitvaeError as error:
        message = str(error)
        status = WRONG_USAGE if error.status == INVALID_ARGUMENT else FAILED
    except OSError as error:
        message, status = str(error), FAILED
    except KeyboardInterrupt:
        message, status = "interrupted, nothing was written", INTERRUPTED
    else:
        return 0
    sys.stderr.write(f"digits.py: {message}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
