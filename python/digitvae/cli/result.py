"""Report the result of a command: one short line, or one JSON object."""

from __future__ import annotations

import time
from collections.abc import Mapping

from digitvae.bundle.folder import Bundle
from digitvae.cli.say import say, say_json
from digitvae.output.descriptors import is_standard_output


class Report:
    """Times a command from its construction, and prints its result at the end.

    Args:
        command: Name of the command.
        path: Where its output goes.
        as_json: Print a JSON object instead of a line.
        quiet: Print no line (JSON, which was asked for, is still printed).

    Raises:
        ValueError: The output and the JSON object would both go to standard output.
    """

    def __init__(self, command: str, path: str, *, as_json: bool, quiet: bool) -> None:
        if as_json and is_standard_output(path):
            raise ValueError(f"--json prints to standard output, and so does '-o {path}'")
        self._began = time.perf_counter()
        self._command = command
        self._path = path
        self._as_json = as_json
        self._quiet = quiet or is_standard_output(path)

    def finish(
        self,
        bundle: Bundle,
        what: str,
        count: int,
        details: Mapping[str, object],
        *,
        path: str | None = None,
    ) -> None:
        """Print the result.

        Args:
            bundle: The bundle that was used.
            what: What ``count`` counts.
            count: Images or latents that were written.
            details: What the JSON object tells beyond that.
            path: Where its output has gone, if that is another place.
        """
        path = path or self._path
        seconds = time.perf_counter() - self._began
        if self._as_json:
            result = {
                "command": self._command,
                "path": path,
                "count": count,
                **details,
                "seconds": round(seconds, 6),
                "per_second": round(count / seconds, 1),
                "bundle": str(bundle.path),
                "bundle_sha256": bundle.sha256,
            }
            say_json(result)
        elif not self._quiet:
            say(f"{path}: {count:,} {what} in {seconds:.2f} s")
