"""The shared library as others see it: its symbols, its size, its name, its headers."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.support.packages import ROOT, Installed, must_run

HEADER = ROOT / "cpp" / "include" / "digitvae" / "digitvae.h"
SYMBOLS = ROOT / "cpp" / "abi" / "digitvae-1.symbols"
MOST_BYTES = 300_000
STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror", "-fsyntax-only")


def exported(library: Path) -> list[str]:
    """The names that a shared library defines for others."""
    lines = must_run("nm", "--dynamic", "--defined-only", library).decode().splitlines()
    return sorted(name for *_, name in map(str.split, lines))


def test_the_library_exports_the_symbols_of_abi_1_and_no_others(installed: Installed) -> None:
    """A symbol that goes, or changes its meaning, breaks programs: that would be ABI 2."""
    listed = SYMBOLS.read_text(encoding="utf-8").split()
    names = exported(installed.shared_library)
    assert [name for name in names if name != "DIGITVAE_1"] == [f"{s}@@DIGITVAE_1" for s in listed]


def test_the_header_declares_the_symbols_of_abi_1_and_no_others() -> None:
    text = HEADER.read_text(encoding="utf-8")
    declared = re.findall(r"^DVAE_API [\w ]+?\*? ?(dvae_\w+)\(", text, re.MULTILINE)
    assert sorted(declared) == SYMBOLS.read_text(encoding="utf-8").split()
    assert text.count("DVAE_API ") - text.count("#define DVAE_API ") == len(declared)


def test_the_library_needs_the_system_s_libraries_alone_and_is_named_by_its_abi(
    installed: Installed,
) -> None:
    dynamic = must_run("readelf", "--dynamic", "--wide", installed.shared_library).decode()
    assert "soname: [libdigitvae.so.1]" in dynamic
    needed = set(re.findall(r"NEEDED.*\[(.*)\]", dynamic))
    needed = {name for name in needed if not name.startswith("ld-linux")}  # the loader
    assert needed <= {"libstdc++.so.6", "libm.so.6", "libgcc_s.so.1", "libc.so.6"}
    assert "[$ORIGIN]" in dynamic


def test_the_stripped_library_is_small(installed: Installed, tmp_path: Path) -> None:
    copy = tmp_path / "stripped.so"
    shutil.copy(installed.shared_library, copy)
    must_run("strip", copy)
    assert copy.stat().st_size <= MOST_BYTES


@pytest.mark.parametrize(
    ("compiler", "language", "standard", "header"),
    [
        ("gcc", "c", "c99", "digitvae.h"),
        ("gcc", "c", "c11", "digitvae.h"),
        ("g++", "c++", "c++17", "digitvae.h"),
        ("g++", "c++", "c++17", "digitvae.hpp"),
        ("g++", "c++", "c++20", "digitvae.hpp"),
    ],
)
def test_the_headers_stand_alone_under_strict_warnings(
    installed: Installed, tmp_path: Path, compiler: str, language: str, standard: str, header: str
) -> None:
    source = tmp_path / "alone"
    source.write_text(f"#include <digitvae/{header}>\n#include <digitvae/{header}>\n", "utf-8")
    include = f"-I{installed.prefix / 'include'}"
    must_run(compiler, f"-std={standard}", *STRICT, include, "-x", language, source)
