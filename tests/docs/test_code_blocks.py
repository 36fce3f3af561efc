"""Every block of code in the documentation is run, compiled or parsed, in the order of its page.

``tests/docs/blocks.py`` has the marks that a block can have, ``tests/docs/shell.py`` what becomes
of commands. A page has a folder of its own, and its Python blocks one namespace.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tools.docs.markdown import MARK

from digitvae.bundle.folder import shipped_path
from tests.docs.blocks import ROOT, Block, blocks, pages, parse_mark, read
from tests.docs.shell import commands, parse_command, run_command

C_FLAGS = ("-fsyntax-only", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'cpp' / 'include'}")
COMPILERS = {"c": ("gcc", "-std=c99", "-xc"), "cpp": ("g++", "-std=c++17", "-xc++")}
# What parts of a program take for granted.
AROUND = """\
#define _POSIX_C_SOURCE 200809L
#include <digitvae/digitvae.h>
#include <stdlib.h>
extern dvae_decoder* decoder;
extern dvae_prior* prior;
extern dvae_sample_options options;
extern unsigned char images[10000 * 784];
extern const unsigned char digitvae_bundle_decoder[];
extern const size_t digitvae_bundle_decoder_size;
void part(void);
void part(void) {
"""
MOST_SKIPS = 3


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in pages() if blocks(page)])
def test_code_runs(
    page: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.chdir(tmp_path)
    if page == "docs/command-line.md":  # the one that reads a data set by this library
        import datasets

        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / ".cache"))
    namespace: dict[str, Any] = {"__name__": "documentation"}
    for block in blocks(page):
        for name, kind in block.given:
            give(tmp_path / name, kind, request)
        if "file" in block.marks:
            (tmp_path / block.marks["file"]).write_text(block.replaced, encoding="utf-8")
        if "tested by" in block.marks or "skip because" in block.marks:
            continue
        check = CHECKS.get(block.language)
        assert check, f"{block.place}: a block of {block.language or 'no language'}: name one"
        check(block, tmp_path, namespace)


def give(target: Path, kind: str, request: pytest.FixtureRequest) -> None:
    """Put into a page's folder what its commands begin with."""
    if kind == "shipped bundle":
        source = shipped_path()
    else:
        fixture = {"labelled bundle": "labelled_bundle", "finished run": "tiny_run"}[kind]
        source = request.getfixturevalue(fixture)
    shutil.copytree(source, target)


def run_python(block: Block, _folder: Path, namespace: dict[str, Any]) -> None:
    """Run a block after those before it. Lines in tracebacks are those of the page."""
    code = "\n" * block.line + block.replaced
    if "file" in block.marks:  # a module; the commands that follow run it
        compile(code, block.page, "exec")
    else:
        exec(compile(code, block.page, "exec"), namespace)


def run_shell(block: Block, folder: Path, _namespace: dict[str, Any]) -> None:
    """Run the commands of a block one by one."""
    for command in commands(block):
        if "parse because" in block.marks:
            parse_command(command, block)
        else:
            run_command(command, block, folder)


def compile_c(block: Block, _folder: Path, _namespace: dict[str, Any]) -> None:
    """Compile a program, or a part of one within what `AROUND` gives it."""
    code = block.replaced
    if "int main(" not in code:
        lines = [line for line in code.splitlines() if not line.startswith("#include")]
        code = AROUND + "\n".join(lines) + "\n}\n"
    done = subprocess.run(
        [*COMPILERS[block.language], *C_FLAGS, "-"],
        input=code,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{block.place}: {done.stderr}"


def parse_json(block: Block, _folder: Path, _namespace: dict[str, Any]) -> None:
    """Parse a block of JSON."""
    json.loads(block.code)


def nothing_to_run(_block: Block, _folder: Path, _namespace: dict[str, Any]) -> None:
    """Output and drawings."""


CHECKS: dict[str, Callable[[Block, Path, dict[str, Any]], None]] = {
    "python": run_python,
    "sh": run_shell,
    "console": run_shell,
    "c": compile_c,
    "cpp": compile_c,
    "json": parse_json,
    "text": nothing_to_run,
}


def all_blocks() -> list[Block]:
    return [block for page in pages() for block in blocks(page)]


def test_what_is_skipped_has_a_reason_and_is_rare() -> None:
    reasons = [f"{block.place}: {block.reason}" for block in all_blocks() if block.reason]
    print("\n".join(reasons))  # noqa: T201 (pytest -s)
    assert all(len(reason.split()) > 3 for reason in reasons)
    skipped = [block.place for block in all_blocks() if "skip because" in block.marks]
    assert len(skipped) <= MOST_SKIPS, skipped


def test_what_is_tested_elsewhere_is_so() -> None:
    for block in all_blocks():
        if "tested by" in block.marks:
            text = (ROOT / block.marks["tested by"]).read_text(encoding="utf-8")
            page = block.page.rpartition("/")[2]
            assert page in text or block.code.split()[0] in text, block.place


def test_every_mark_stands_above_a_block() -> None:
    for page in pages():
        marks = [parse_mark(mark["mark"], page) for mark in MARK.finditer(read(page))]
        used = [pair for block in blocks(page) for pair in block.marks.items()]
        assert sorted(marks) == sorted(used), page


def block_of(language: str, code: str, **marks: str) -> Block:
    return Block("page.md", 3, language, code, marks)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (block_of("sh", "digitvae generate 10 --colour"), "No such option '--colour'"),
        (block_of("sh", "digitvae paint 10"), "No such command 'paint'"),
        (block_of("sh", "digitvae info nowhere"), "no bundle at nowhere"),
        (block_of("sh", "make coffee"), "there is no target coffee"),
        (block_of("sh", "pip install '.[moon]'"), "there is no extra moon"),
        (block_of("sh", "python -m benchmarks.dreams"), "there is no benchmarks.dreams"),
        (block_of("sh", "rm -rf build"), "nobody knows how to test 'rm -rf build'"),
        (block_of("console", "no prompt"), "a console without a command"),
        (block_of("c", "dvae_sample_u8(decoder);"), "too few arguments"),
    ],
)
def test_blocks_that_do_not_work_are_told(block: Block, message: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=message):
        CHECKS[block.language](block, tmp_path, {})


def test_a_python_block_that_fails_is_told_by_the_line_of_the_page(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError) as failure:
        run_python(block_of("python", "1 / 0\n"), tmp_path, {})
    last = failure.traceback[-1]
    assert (str(last.path).endswith("page.md"), last.lineno) == (True, 3)


def test_a_replacement_has_to_fit() -> None:
    with pytest.raises(AssertionError, match="7 is not in the block"):
        commands(block_of("sh", "digitvae generate 10", replace="7 by 5"))
