"""The order of the packages: each imports only those above it, at any depth and in any way."""

from __future__ import annotations

import ast
import re
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import digitvae

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "python" / "digitvae"

ORDER = (
    "base",
    "bundle",
    "data",
    "engine",
    "output",
    "generation",
    "explorer",
    # Above, nothing needs torch.
    "vae",
    "training",
    "mixture",
    "evaluation",
    "parity",
    "export",
    "cli",
)
"""From what everything stands on to what stands on everything."""

WITH_TORCH = set(ORDER[ORDER.index("vae") :])
ANYWHERE = {"_native", "_version"}
"""Modules that all may import, beside ``digitvae`` itself."""


@cache
def modules() -> dict[str, Path]:
    """All modules by their dotted names."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


@cache
def imports_of(name: str) -> set[str]:
    """Dotted names of all modules that a module imports, inside functions and for types, too."""
    found = set()
    for node in ast.walk(ast.parse(modules()[name].read_bytes())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative imports hide what they name"
            assert node.module is not None
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in modules() or node.module == "digitvae" else node.module)
    return found


def room_of(name: str) -> str | None:
    """The part of a dotted name below ``digitvae``; ``None`` for what is not ours."""
    package, _, rest = name.partition(".")
    first = rest.partition(".")[0]
    return first if package == "digitvae" and first not in digitvae.__all__ else None


INSIDE = sorted(name for name in modules() if room_of(name) not in (None, "", "__main__"))


def test_every_module_is_in_a_package_and_every_package_has_its_place() -> None:
    loose = {path.name for path in PACKAGE.iterdir() if path.suffix in {".py", ".pyi"}}
    assert loose - {"_version.py", "_version.pyi"} == {
        "__init__.py",
        "__main__.py",
        "_native.pyi",
    }
    assert {room_of(name) for name in INSIDE} == {*ORDER}


def test_packages_import_only_what_is_above_them() -> None:
    against = {
        f"{name} → {imported}"
        for name in INSIDE
        for imported in imports_of(name)
        if (room := room_of(imported)) not in (None, "", *ANYWHERE)
        and ORDER.index(str(room)) > ORDER.index(str(room_of(name)))
    }
    assert not against


def test_no_module_is_imported_by_what_it_imports() -> None:
    graph = {name: imports_of(name) & modules().keys() - {name} for name in modules()}
    order = TopologicalSorter(graph)
    order.prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize(("library", "rooms"), [("torch", WITH_TORCH), ("click", {"cli"})])
def test_what_takes_long_to_import_is_imported_in_few_packages(
    library: str, rooms: set[str]
) -> None:
    users = {name for name in INSIDE if library in {i.partition(".")[0] for i in imports_of(name)}}
    assert {room_of(name) for name in users} <= rooms


def test_no_test_imports_another_test() -> None:
    against = {
        f"{path.relative_to(PACKAGE.parents[1])}: {line}"
        for path in Path(__file__).parent.rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if re.match(r"\s*(from (tests|\.)|import tests\.).*\btest_\w+", line)
    }
    assert not against  # what tests share is in tests/support/


def test_folders_of_the_native_core_include_only_what_is_above_them() -> None:
    order = ("base", "random", "onnx", "schedule", "kernels", "model", "c_api")
    core = ROOT / "cpp" / "src"
    folders = {path: path.relative_to(core).parts[0] for path in core.rglob("*.?pp")}
    assert {*folders.values()} == {*order}
    for path, folder in folders.items():
        included = set(re.findall(r'#include "(\w+)/', path.read_text(encoding="utf-8")))
        assert included <= {*order[: order.index(folder) + 1]}, path
