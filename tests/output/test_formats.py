"""The formats: each is in the documentation, and listing them is cheap."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from digitvae.output import FORMATS, Format

PAGE = Path(__file__).parents[2] / "docs" / "command-line.md"
ROWS = [line.split(" | ") for line in PAGE.read_text("utf-8").splitlines() if "| uint8" in line]


@pytest.mark.parametrize("kind", FORMATS.values(), ids=lambda kind: kind.name)
def test_the_documentation_has_each_format_and_its_pixels(kind: Format) -> None:
    (row,) = (row for row in ROWS if f"`{kind.asked_by}`" in row[0])
    assert row[-1].removesuffix(" |").split(", ") == [*kind.pixels]


def test_listing_the_formats_imports_nothing_that_writes_them() -> None:
    heavy = {"numpy", "pyarrow", "PIL", "tarfile", "zipfile", "gzip", "digitvae.output.png"}
    program = f"import sys, digitvae.output.formats; print({heavy} & {{*sys.modules}})"
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert found.stdout == b"set()\n"
