"""What commands that write images have in common: where they go, the bar, and the report."""

from __future__ import annotations

import functools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from digitvae.cli import options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from digitvae.base.arguments import PixelType
    from digitvae.output import Sink

    Command = Callable[..., None]


class ImageOutput:
    """Where a command writes images: the options that say so, the model, and the report.

    Args:
        command: Name of the command.
        output: As ``--output`` has it.
        output_format: As ``--format`` has it.
        bundle: As ``--bundle`` has it.
        threads: Worker threads.
        as_json: Report as JSON.
        quiet: No result line, no progress.
        asked: The other arguments of :func:`digitvae.output.open_sink`.

    Attributes:
        threads: Worker threads.
        columns: Images in a row of a contact sheet, if that was asked for.
        is_sheet: Whether it is a contact sheet.
    """

    def __init__(
        self,
        command: str,
        *,
        output: str,
        output_format: str | None,
        bundle: Path | None,
        threads: int | None,
        as_json: bool,
        quiet: bool,
        **asked: Any,
    ) -> None:
        from digitvae.cli.result import Report
        from digitvae.output import FORMATS, format_of

        self._report = Report(command, output, as_json=as_json, quiet=quiet)
        self._path = output
        self._kind = format_of(output, output_format)
        self._bundle = bundle
        self._quiet = quiet
        self._asked = asked
        self.threads = threads
        self.columns: int | None = asked["columns"]
        self.is_sheet = FORMATS[self._kind].is_sheet

    @property
    def dtype(self) -> PixelType:
        """Type of pixels."""
        dtype: PixelType = self._asked.get("dtype", "uint8")
        return dtype

    @functools.cached_property
    def model(self) -> Any:
        """The model of the bundle."""
        from digitvae.engine.model import load

        return load(self._bundle)

    @contextmanager
    def open(
        self, what: str, number: int, *, count: int | None = None, **more: Any
    ) -> Iterator[tuple[Sink, Callable[[int], None]]]:
        """Begin the output.

        Args:
            what: A word or two for the bar.
            number: Steps of the bar.
            count: Images that will be written; default: as many.
            more: Arguments of :func:`digitvae.output.open_sink` that the command knows better.

        Yields:
            The sink, and a function to call with the number of steps just done.
        """
        from digitvae.cli.progress import progress
        from digitvae.output import open_sink

        asked = {"height": self.model.height, "width": self.model.width, **self._asked, **more}
        with (
            open_sink(self._path, count=count or number, format=self._kind, **asked) as sink,
            progress(what, number, quiet=self._quiet) as advance,
        ):
            yield sink, advance

    def finish(self, what: str, count: int, details: Mapping[str, object]) -> None:
        """Print the report, as :class:`digitvae.cli.result.Report` does."""
        own = {"format": self._kind, **({"dtype": self.dtype} if "dtype" in self._asked else {})}
        self._report.finish(self.model.bundle, what, count, {**own, **details})


_OPTIONS = (
    options.threads,
    options.output_format,
    options.columns,
    options.scale,
    options.padding,
    options.invert,
    options.bundle,
    options.force,
    options.as_json,
    options.quiet,
)
_NAMES = {
    *("output", "threads", "dtype", "output_format", "columns", "scale", "padding", "invert"),
    *("bundle", "force", "as_json", "quiet"),
}


def image_output(default: str, *, dtype: bool = True) -> Callable[[Command], Command]:
    """Give a command all options for an output of images; it gets an :class:`ImageOutput`, ``to``.

    Args:
        default: Where it writes by default.
        dtype: Whether it can write float32, too.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def run(**given: Any) -> None:
            asked = {name: given.pop(name) for name in _NAMES & given.keys()}
            command(to=ImageOutput(command.__name__, **asked), **given)

        wrapped: Command = run
        for option in reversed(
            (options.output(default), *((options.dtype,) if dtype else ()), *_OPTIONS)
        ):
            wrapped = option(wrapped)
        return wrapped

    return decorate
