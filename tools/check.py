"""Run the tests of what has changed since main: the middle of `make check`.

The tests of a changed module are those that import it, those of its folder's or its own name, and
those of a changed page of documentation. Tests that are marked slow run only if their own file has
changed. `make test` runs everything.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "python" / "digitvae"
NO_TESTS_FOUND = 5
"""The exit status of pytest if all tests of the files that it is given are slow."""

CPP = ("cpp/", "cmake/", "CMake")
BESIDES = {
    ("python/digitvae/__main__.py",): ("tests/cli/test_app.py",),
    CPP: ("tests/native", "tests/packaging/test_abi.py"),
    ("docs/", "README.md", "mkdocs.yml"): (
        "tests/docs/test_links.py",
        "tests/docs/test_references.py",
    ),
    ("benchmarks/",): ("tests/benchmarks",),
    ("export/",): ("tests/bundle/test_folder.py", "tests/engine/test_model.py"),
    ("Makefile", ".ci/", "tools/", "pyproject.toml"): (
        "tests/packaging/test_two_commands.py",
        "tests/packaging/test_stages.py",
        "tests/packaging/test_check.py",
    ),
}
"""Tests of files that no test imports, by how their paths begin."""


def git(*words: str) -> list[str]:
    """The lines that git prints."""
    done = subprocess.run(["git", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.splitlines()


def changed_files() -> list[str]:
    """Files that differ from where this branch left main, committed or not."""
    branches = set(git("for-each-ref", "--format=%(refname:short)"))
    main = next((name for name in ("origin/main", "main") if name in branches), "HEAD")
    (base,) = git("merge-base", "HEAD", main)
    return git("diff", "--name-only", base) + git("ls-files", "--others", "--exclude-standard")


@cache
def imported(test: Path) -> set[str]:
    """Dotted names of all that a file imports, inside functions, too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(test.read_bytes())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
    return names


def tests_of(changed: list[str]) -> set[str]:
    """Paths of the tests of changed files."""
    tests: dict[str, set[str]] = {}
    for path in (ROOT / "tests").rglob("*.py"):
        # What the tests of a folder share stands for all of them.
        place = path if path.name.startswith("test_") else path.parent
        tests.setdefault(str(place.relative_to(ROOT)), set()).update(imported(path))
    sources = {module_name(path): imported(path) for path in PACKAGE.rglob("*.py")}
    found: set[str] = set()
    for name in changed:
        for starts, besides in BESIDES.items():
            found.update(besides if name.startswith(starts) else ())
        path = ROOT / name
        if path.is_relative_to(ROOT / "tests" / "support"):
            module = f"tests.support.{path.stem}"
            found.update(test for test, names in tests.items() if module in names)
        elif path.is_relative_to(ROOT / "tests"):
            found.add(name if path.name.startswith("test_") else str(path.parent.relative_to(ROOT)))
        elif path.is_relative_to(PACKAGE):
            module = module_name(path)
            mirror = _mirror(module)
            own = {t for t, names in tests.items() if module in names or t.startswith(mirror)}
            users = {user for user, names in sources.items() if module in names}
            own = own or {t for t, names in tests.items() if names & users}
            found.update(own or {_folder(mirror)})
    return {test for test in found - {"tests"} if (ROOT / test).exists()}


def _folder(path: str) -> str:
    """The first folder around a path that exists."""
    return next(str(up) for up in Path(path).parents if (ROOT / up).is_dir())


def module_name(path: Path) -> str:
    """The dotted name of a module of the package."""
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(
        ".__init__"
    )


def _mirror(module: str) -> str:
    """How the paths of a module's own tests begin: tests/data/test_idx of digitvae.data.idx.

    Those of the commands are with the other tests of ``digitvae.cli``.
    """
    *folders, name = module.replace(".cli.commands.", ".cli.").split(".")[1:] or [""]
    return "/".join(["tests", *folders, f"test_{name}"])


def main() -> int:
    """Run them; the exit status."""
    changed = changed_files()
    if any(name.startswith(CPP) for name in changed):
        subprocess.run(["make", "--no-print-directory", "test-cpp"], cwd=ROOT, check=True)
    tests = tests_of(changed)
    print(f"tests of what has changed: {' '.join(sorted(tests)) or 'none'}", flush=True)
    whole = tests & set(changed)
    pytest = [sys.executable, "-m", "pytest", "-q", "-n", "2"]
    for words, some in ((["-m", "not slow"], tests - whole), ([], whole)):
        if some:
            status = subprocess.run(
                [*pytest, *words, *sorted(some)], cwd=ROOT, check=False
            ).returncode
            if status not in (0, NO_TESTS_FOUND):
                return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
