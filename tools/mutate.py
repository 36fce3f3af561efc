"""Break the code in thirty places, one at a time, and say whether the tests catch each.

``python -m tools.mutate`` works in a scratch copy of the sources, so that nothing here changes. Run
it before and after a change of the tests: they must catch as many. A mutant is caught if its tests
pass without it, and fail with it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tools.mutants import CPP_TESTS, MUTANTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.mutants import Mutant

ROOT = Path(__file__).parents[1]
PAGE = "python/digitvae/explorer/page"
BUILD = "build/release"
IN_MODULE = ("cpp/src/", "cpp/bindings/")
FIRST_FAILURE = re.compile(
    r"^(?:FAILED|ERROR) (tests/.+?)(?: - |$)|^-{79}\n(.+)\n(?:.+\n)?-{79}$|^\s+\d+ - (\S+) \(", re.M
)


class Run(NamedTuple):
    """How a program, or tests, ended.

    Attributes:
        code: The exit code.
        said: All that was printed.
    """

    code: int
    said: str

    @property
    def first_failure(self) -> str:
        """The first test that failed, by its name."""
        found = FIRST_FAILURE.search(self.said)
        return "" if found is None else next(filter(None, found.groups())).strip()


class BuildError(Exception):
    """The copy, or a mutant in it, cannot be built."""


class Copy:
    """A copy of the working tree, as it is with its uncommitted changes, to break and to test.

    Args:
        folder: Where to make it; empty.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
            "PYTHONPATH": str(folder / "python"),
        }
        # A clone, since tests ask git; its files are those that lie here.
        self._must("git", "clone", "--quiet", "--shared", "--no-checkout", str(ROOT), str(folder))
        listed = self._must("git", "-C", str(ROOT), "ls-files", "-zco", "--exclude-standard")
        for name in filter(None, listed.split("\0")):
            if os.path.lexists(ROOT / name):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
        self._must("git", "add", "--all")
        if (ROOT / PAGE).is_dir():
            shutil.copytree(ROOT / PAGE, folder / PAGE)
        package = find_spec("digitvae")
        assert package is not None
        assert package.origin is not None
        (self._module,) = Path(package.origin).parent.glob("_native*.so")
        self._put_module(self._module)
        used = self._must(sys.executable, "-c", "import digitvae; print(digitvae.__file__)")
        assert Path(used.strip()).is_relative_to(folder), used

    def run(self, *command: str) -> Run:
        """Run a program in the copy, and end it with all that it has started."""
        with subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            try:
                said, _ = process.communicate()
            except KeyboardInterrupt:
                os.killpg(process.pid, signal.SIGINT)  # tests end what they have started
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.communicate(timeout=30)
                raise
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        return Run(process.returncode, said)

    def test(self, tests: str, changed: str = "") -> Run:
        """Run tests, up to the first one that fails.

        Args:
            tests: As a mutant has them.
            changed: The file that a mutant has changed; what is made of it is built first.

        Raises:
            BuildError: It cannot be built.
        """
        if tests == CPP_TESTS:
            self._build("all")
            # A mutant can have a test wait for ever; ctest counts that as a failure.
            return self.run("ctest", "--preset", "release", "--stop-on-failure", "--timeout", "300")
        if changed.startswith(IN_MODULE):
            self._build("_native")
            (built,) = (self.folder / BUILD / "cpp" / "bindings").glob("_native*.so")
            self._put_module(built)
        pytest = (sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider")
        return self.run(*pytest, tests)

    def put(self, name: str, text: str) -> None:
        """Change a file, or change it back; the native module is again that which is installed."""
        (self.folder / name).write_text(text, encoding="utf-8")
        # What Python has compiled of it may look as new as it is.
        for compiled in (self.folder / name).parent.glob(f"__pycache__/{Path(name).stem}.*"):
            compiled.unlink()
        self._put_module(self._module)

    def _put_module(self, module: Path) -> None:
        target = self.folder / "python" / "digitvae" / self._module.name
        target.unlink(missing_ok=True)
        shutil.copyfile(module, target)

    def _build(self, target: str) -> None:
        if not (self.folder / BUILD).exists():
            library = self._must(sys.executable, "-m", "digitvae.engine.runtime").strip()
            self.environment["DIGITVAE_ORT_LIBRARY"] = library
            # Isolated builds of the package have a pybind11 of their own, this environment none.
            bindings = str(self.folder / "build" / "pybind11")
            pip = (sys.executable, "-m", "pip", "install", "--quiet", "--target", bindings)
            self._must(*pip, "pybind11>=3.0")
            options = (
                "-DDIGITVAE_BUILD_PYTHON=ON",
                f"-DCMAKE_PREFIX_PATH={bindings}/pybind11",
                f"-DPython_EXECUTABLE={sys.executable}",
            )
            self._must("cmake", "--preset", "release", *options)
        self._must("cmake", "--build", "--preset", "release", "--target", target)

    def _must(self, *command: str) -> str:
        done = self.run(*command)
        if done.code != 0:
            raise BuildError(f"{' '.join(command[:4])} … failed:\n{done.said[-2000:]}")
        return done.said


def chosen(names: Sequence[str]) -> list[Mutant]:
    """The mutants whose names or files have one of these words in them; all, if there are none.

    Raises:
        SystemExit: A word fits no mutant, or a mutant does not fit the sources.
    """
    for name in names:
        if not any(name in mutant.name or name in mutant.file for mutant in MUTANTS):
            raise SystemExit(f"no mutant has {name!r} in its name or file; --list shows them")
    for mutant in MUTANTS:
        found = (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.old)
        if found != 1:
            raise SystemExit(f"{mutant.file}: {mutant.old!r} is there {found} times, expected once")
    return [m for m in MUTANTS if not names or any(n in m.name or n in m.file for n in names)]


def passes_clean(copy: Copy, mutants: Sequence[Mutant]) -> bool:
    """Whether the tests pass where nothing is broken."""
    for tests in dict.fromkeys(mutant.tests for mutant in mutants):
        began = time.monotonic()
        done = copy.test(tests)
        verdict = "passes" if done.code == 0 else f"FAILS: {done.first_failure}"
        print(f"without mutants  {tests}  {verdict}  {time.monotonic() - began:.0f} s", flush=True)
        if done.code != 0:
            print(done.said[-4000:], file=sys.stderr)
            return False
    return True


def judge(copy: Copy, mutant: Mutant) -> dict[str, object]:
    """Make a mutant, test it, and take it back; what came of it, for JSON."""
    began = time.monotonic()
    text = (copy.folder / mutant.file).read_text(encoding="utf-8")
    copy.put(mutant.file, text.replace(mutant.old, mutant.new))
    try:
        done = copy.test(mutant.tests, mutant.file)
    except BuildError as error:
        done = Run(-1, str(error))
    finally:
        copy.put(mutant.file, text)
    # pytest says 1 where tests fail, ctest 8; anything else is a mutant that cannot be judged.
    caught = done.code == (8 if mutant.tests == CPP_TESTS else 1)
    if not caught and done.code != 0:
        print(f"{mutant.name}: exit code {done.code}\n{done.said[-2000:]}", file=sys.stderr)
    return {
        "name": mutant.name,
        "file": mutant.file,
        "tests": mutant.tests,
        "caught": caught,
        "seconds": round(time.monotonic() - began, 1),
        "first_failure": done.first_failure,
    }


def mutate(mutants: Sequence[Mutant], json_file: Path | None, *, trust_clean: bool) -> int:
    """Judge mutants one after the other; the exit code."""
    with tempfile.TemporaryDirectory(prefix="digitvae-", ignore_cleanup_errors=True) as folder:
        copy = Copy(Path(folder))
        if not trust_clean and not passes_clean(copy, mutants):
            return 1
        results = []
        for mutant in mutants:
            result = judge(copy, mutant)
            results.append(result)
            verdict = "caught" if result["caught"] else "SURVIVED"
            told = f"{result['seconds']} s  {result['first_failure']}"
            print(f"{mutant.name}  {mutant.file}  {verdict}  {told}", flush=True)
    caught = sum(bool(result["caught"]) for result in results)
    print(f"{caught} of {len(mutants)} caught")
    if json_file is not None:
        json_file.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return 0 if caught == len(mutants) else 1


def main() -> int:
    """Run the program."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutate", description=__doc__)
    parser.add_argument("names", nargs="*", help="only mutants with this in their name or file")
    parser.add_argument("--list", action="store_true", help="list the mutants, and do no more")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    parser.add_argument("--trust-clean", action="store_true", help="skip the tests without mutants")
    asked = parser.parse_args()
    mutants = chosen(asked.names)
    if asked.list:
        for mutant in mutants:
            print(f"{mutant.name}  {mutant.file}  {mutant.tests}")
        return 0
    for number in (signal.SIGINT, signal.SIGTERM):  # also where it runs in the background
        signal.signal(number, signal.default_int_handler)
    try:
        return mutate(mutants, asked.json, trust_clean=asked.trust_clean)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
