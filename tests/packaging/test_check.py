"""`make check` runs the tests of what has changed."""

from __future__ import annotations

import pytest
from tools import check
from tools.check import PACKAGE, ROOT

MODULES = sorted(str(path.relative_to(ROOT)) for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_tests_that_are_there(module: str) -> None:
    assert check.tests_of([module])


@pytest.mark.parametrize(
    ("changed", "tests"),
    [
        ("python/digitvae/cli/commands/data.py", "tests/cli/test_data.py"),  # by its name
        ("python/digitvae/output/png.py", "tests/output/test_png.py"),
        ("tools/requirements.py", "tests/packaging/test_two_commands.py"),
        ("python/digitvae/output/formats/parquet.py", "tests/output"),  # by its folder
        ("benchmarks/generation/programs.py", "tests/benchmarks"),
        ("cpp/src/random/latents.cpp", "tests/native"),
        ("docs/parity.md", "tests/docs/test_links.py"),
        (".ci/run", "tests/packaging/test_two_commands.py"),
        ("tests/output/test_png.py", "tests/output/test_png.py"),
        ("tests/support/readers.py", "tests/output/test_open_sink.py"),
    ],
)
def test_a_change_has_the_tests_that_one_expects(changed: str, tests: str) -> None:
    assert tests in check.tests_of([changed])


def test_what_is_gone_has_no_tests() -> None:
    assert check.tests_of(["tests/test_of_something_deleted.py", "LICENSE"]) == set()
