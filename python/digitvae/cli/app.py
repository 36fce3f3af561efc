"""The program ``digitvae``: its commands, its exit codes, and how it says that something failed.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. Errors are one message on stderr,
never a traceback (``DIGITVAE_DEBUG=1`` shows it).
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from digitvae import __version__
from digitvae.cli import (
    data,
    decode,
    encode,
    export,
    generate,
    info,
    interpolate,
    reconstruct,
    train,
    verify,
)
from digitvae.errors import DigitVAEError

if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

FAILED, USAGE, INTERRUPTED = 1, 2, 130
_TRAIN_PACKAGES = {"torch", "torchvision", "safetensors", "onnx", "onnxscript"}


class _Commands(TyperGroup):
    """The group of commands, with Ctrl-C ending every one of them as the shell expects."""

    def invoke(self, ctx: Any) -> Any:  # typer's own context, or click's
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            # Typer before 0.20 would print "Aborted!" and exit with 1.
            raise SystemExit(INTERRUPTED) from None


app = typer.Typer(
    name="digitvae",
    cls=_Commands,
    help="Generate handwritten digits, and train, export and verify the network that does it.",
    no_args_is_help=True,
    # Plain text: rich would double the time of --help.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"digitvae {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass


for _module in (
    generate,
    interpolate,
    reconstruct,
    encode,
    decode,
    info,
    data,
    train,
    export,
    verify,
):
    _module.register(app)


def main(arguments: list[str] | None = None) -> int:
    """Run the program and return its exit code.

    Args:
        arguments: What follows the program's name; by default ``sys.argv[1:]``.
    """
    # A file name that is not UTF-8 must not turn the report of a success into an error.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, _terminate)
    try:
        app(args=arguments, prog_name="digitvae")
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else FAILED
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        if os.environ.get("DIGITVAE_DEBUG"):
            raise
        code, message = _explain(error)
        _complain(message)
    else:
        code = 0
    return _flush() or code


def _explain(error: Exception) -> tuple[int, str]:
    """The exit code and the message for an exception. An empty message says nothing."""
    code, message = FAILED, str(error)
    match error:
        case BrokenPipeError():
            message = ""  # who reads our output has had enough: nothing to comment on
        case DigitVAEError():
            pass
        case ModuleNotFoundError() if (error.name or "").partition(".")[0] in _TRAIN_PACKAGES:
            message = f"this command needs {error.name}: pip install 'digitvae[train]'"
        case MemoryError():
            message = f"out of memory: {error}" if message else "out of memory"
        case OSError() if error.strerror:
            place = f"{error.filename}: " if error.filename is not None else ""
            message = place + error.strerror
        case ValueError() | TypeError():
            code = USAGE
        case _:
            message = f"{type(error).__name__}: {error} (DIGITVAE_DEBUG=1 shows where)"
    return code, message


def _complain(message: str) -> None:
    if message and sys.stderr is not None:
        with contextlib.suppress(OSError):
            typer.echo(f"digitvae: error: {message}", err=True)


def _flush() -> int:
    """Write out what standard output holds back, while it can still be reported."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        # Python flushes again when it ends; what is left must go somewhere.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _complain(_explain(error)[1])
        return FAILED
    return 0


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    """End by an exception, so that unfinished files are removed on the way out."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
