"""The program ``digitvae``: its exit codes, and how it says that something failed.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. Errors are one message on stderr,
never a traceback (``DIGITVAE_DEBUG=1`` shows it).
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any, NoReturn

from digitvae.base.errors import DigitVAEError
from digitvae.base.text import printable

FAILED, USAGE, INTERRUPTED = 1, 2, 130
_NATIVE_COMMANDS = {"generate", "interpolate", "reconstruct", "encode", "decode"}
_TRAIN_PACKAGES = {
    *("torch", "torchvision", "safetensors", "onnx", "onnxscript"),
    *("hypothesis", "threadpoolctl", "jinja2", "junitparser", "sklearn", "yaml"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run the program and return its exit code.

    Args:
        arguments: What follows the program's name; by default ``sys.argv[1:]``.
    """
    # A file name that is not UTF-8 must not turn the report of a success into an error.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with _ending_by_exception():
            code = _run(sys.argv[1:] if arguments is None else arguments)
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else FAILED
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        if os.environ.get("DIGITVAE_DEBUG"):
            raise
        code, message = _explain(error)
        _complain(message)
    return _flush(code)


def _run(words: list[str]) -> int:
    if words and words[0] in _NATIVE_COMMANDS and not {"-h", "--help"} & set(words):
        from digitvae.engine.runtime import open_in_background

        open_in_background()  # while Python reads the modules of the command

    import click

    from digitvae.cli.commands import app

    try:
        done = app.main(args=words, prog_name="digitvae", standalone_mode=False)
    except click.ClickException as error:  # wrong usage: click says which option, and how it goes
        if type(error).__name__ != "NoArgsIsHelpError":  # help, of many lines; click 8.1 has none
            setattr(error, "message", printable(error.message))  # noqa: B010 (which mypy forbids)
        error.show()
        return error.exit_code
    except click.Abort:  # Ctrl-C before a command had begun
        return INTERRUPTED
    return done if isinstance(done, int) else 0


def _explain(error: Exception) -> tuple[int, str]:
    """The exit code and the message for an exception. An empty message says nothing."""
    code, message = FAILED, str(error)
    match error:
        case BrokenPipeError():
            message = ""  # who reads our output has had enough: nothing to comment on
        case DigitVAEError():
            return code, message  # its lines are clean
        case ModuleNotFoundError() if (error.name or "").partition(".")[0] in _TRAIN_PACKAGES:
            message = f"this command needs {error.name}: pip install 'digitvae[train]'"
        case MemoryError():
            message = f"out of memory: {error}" if message else "out of memory"
        case OSError() if error.strerror:
            # Whatever else is opened by descriptor reports its errors by name.
            place = "standard output" if error.filename is None else error.filename
            message = f"{place}: {error.strerror}"
        case ValueError() | TypeError():
            code = USAGE
        case _:
            message = f"{type(error).__name__}: {error} (DIGITVAE_DEBUG=1 shows where)"
    return code, printable(message)


def _complain(message: str) -> None:
    if message and sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"digitvae: error: {message}\n")
            sys.stderr.flush()


def _flush(code: int) -> int:
    """Write out what standard output holds back, while it can still be reported.

    Args:
        code: The exit code so far. After a failure, which has been explained, another is not.

    Returns:
        The exit code.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        # Python flushes again when it ends; what is left must go somewhere.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if code == 0:
            code, message = _explain(error)
            _complain(message)
    return code


@contextlib.contextmanager
def _ending_by_exception() -> Iterator[None]:
    """Have signals that end the program raise an exception, so that unfinished files are removed.

    What comes after the first one is ignored: it would end the removing half-way.
    """

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    before: dict[signal.Signals, Any] = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup and shells have it
                before[number] = signal.signal(number, end)
    except ValueError:  # not in the main thread: whoever runs us there handles signals
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def program() -> NoReturn:
    """Run the program and end its process."""
    code = main()
    # To take the interpreter and ONNX Runtime apart would take 10 ms, and change nothing.
    os._exit(code)


if __name__ == "__main__":
    program()
