"""The options, the sink and the report that all commands share which write images."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitvae.base.arguments import PixelType
from digitvae.cli import options
from digitvae.cli.say import tell

if TYPE_CHECKING:
    from digitvae.data.sets import Split
    from digitvae.engine.model import Model
    from digitvae.output import Sink

Command = Callable[..., None]


class ImageOutput:
    """The output of a command that writes images, its model, and its report.

    Args:
        command: Name of the command.
        asked: The values of its options.

    Attributes:
        threads: Worker threads.
        columns: Images in a row of a contact sheet, if that was asked for.
        is_sheet: Whether it is a contact sheet.
        dtype: Type of pixels.
    """

    def __init__(self, command: str, asked: dict[str, Any]) -> None:
        from digitvae.cli.result import Report
        from digitvae.output import FORMATS, format_of

        self._path, self._quiet = asked.pop("output"), asked.pop("quiet")
        self._report = Report(command, self._path, as_json=asked.pop("as_json"), quiet=self._quiet)
        self._kind = format_of(self._path, asked.pop("output_format"))
        self._bundle = asked.pop("bundle")
        self._asked = asked  # what is left is as open_sink takes it
        self.threads: int | None = asked.pop("threads")
        self.columns: int | None = asked["columns"]
        self.is_sheet = FORMATS[self._kind].is_sheet
        self.dtype: PixelType = asked.get("dtype", "uint8")

    @functools.cached_property
    def model(self) -> Model:
        """The model, loaded when it is first asked for."""
        from digitvae.engine.model import load

        return load(self._bundle)

    def test_set(self, folder: Path | None) -> Split:
        """The test images of the data set that the model was trained on.

        Args:
            folder: Where the files are; ``None`` for the cache, which is filled if need be.

        Raises:
            DataError: A file is missing or wrong, and cannot be fetched.
        """
        from digitvae.data.sets import load

        name = self.model.bundle.manifest.get("dataset", "mnist")
        return load(name, folder, ("test",), say=tell)["test"]

    @contextmanager
    def open(
        self, what: str, number: int, **more: Any
    ) -> Iterator[tuple[Sink, Callable[[int], None]]]:
        """Begin the output.

        Args:
            what: A word or two for the bar.
            number: Its steps, and images to be written.
            more: Arguments of :func:`digitvae.output.open_sink` that the command knows better.

        Yields:
            The sink, and a function to call with the number of steps just done.
        """
        from digitvae.cli.progress import progress
        from digitvae.output import open_sink

        size = {"height": self.model.height, "width": self.model.width}
        asked = {"count": number, "format": self._kind, **size, **self._asked, **more}
        with (
            open_sink(self._path, **asked) as sink,
            progress(what, number, quiet=self._quiet) as advance,
        ):
            yield sink, advance

    def finish(self, what: str, count: int, details: Mapping[str, object]) -> None:
        """Print the report, as :class:`digitvae.cli.result.Report` does."""
        told = {"format": self._kind} | ({"dtype": self.dtype} if "dtype" in self._asked else {})
        self._report.finish(self.model.bundle, what, count, {**told, **details})


def image_output(default: str, *, dtype: bool = True) -> Callable[[Command], Command]:
    """Give a command the options of an output of images, as an :class:`ImageOutput` named ``to``.

    Args:
        default: Where it writes by default.
        dtype: Whether it can write float32, too.
    """

    def decorate(command: Command) -> Command:
        own = inspect.signature(command).parameters

        @functools.wraps(command)
        def run(**given: Any) -> None:
            asked = {name: given.pop(name) for name in given.keys() - own}
            command(to=ImageOutput(command.__name__, asked), **given)

        wrapped: Command = run
        for option in (
            *(options.quiet, options.as_json, options.force, options.bundle),
            *(options.invert, options.padding, options.scale, options.columns),
            *(options.output_format, *((options.dtype,) if dtype else ()), options.threads),
            options.output(default),
        ):  # click shows first what is applied last
            wrapped = option(wrapped)
        return wrapped

    return decorate
