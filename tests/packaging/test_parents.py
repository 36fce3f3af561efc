"""Projects that take this one in: their names stay theirs, and what they install is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.packages import CROSS, ROOT, code_of_guide, library_version, must_run

CHECKOUT = "${CMAKE_CURRENT_SOURCE_DIR}/digitvae"

PARENT = """
cmake_minimum_required(VERSION 3.25)
project(parent VERSION 1.0.0 LANGUAGES C CXX)
{before}
{taking_in}
"""
LIBRARY = """
#include <digitvae/digitvae.h>
const char* version_below(void);
const char* version_below(void) { return dvae_version(); }
"""
APP = """
#include <digitvae/digitvae.h>
#include <digitvae_bundle.h>
#include <stdio.h>
int main(void) {
  if (digitvae_bundle_decoder_size == 0 || digitvae_bundle_prior_size == 0) return 1;
  return puts(dvae_version()) < 0;
}
"""
EXPORT = """
add_library(parent STATIC parent.c)
target_link_libraries(parent PRIVATE digitvae::digitvae_static)
{install}
install(EXPORT parentTargets NAMESPACE parent:: DESTINATION lib/cmake/parent)
file(WRITE "${{CMAKE_BINARY_DIR}}/parentConfig.cmake" [[
include(CMakeFindDependencyMacro)
{dependency}
include("${{CMAKE_CURRENT_LIST_DIR}}/parentTargets.cmake")
]])
install(FILES "${{CMAKE_BINARY_DIR}}/parentConfig.cmake" DESTINATION lib/cmake/parent)
"""
# Both ways that docs/embedding.md names: what comes before, what installs, what finds it again.
TWO_PACKAGES = (
    "set(DIGITVAE_INSTALL ON)",
    "install(TARGETS parent EXPORT parentTargets)",
    "find_dependency(digitvae 1)",
)
ONE_PACKAGE = (
    "",
    "install(TARGETS parent digitvae_static EXPORT parentTargets)",
    "find_dependency(Threads)",
)


def taking_in() -> str:
    """The guide's own lines that take the project in, from here."""
    code = code_of_guide("cmake", "FetchContent_MakeAvailable(digitvae)")
    assert CHECKOUT in code
    return code.replace(CHECKOUT, str(ROOT))


def write_parent(folder: Path, before: str, after: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    text = PARENT.format(before=before, taking_in=taking_in()) + after
    (folder / "CMakeLists.txt").write_text(text, encoding="utf-8")
    (folder / "parent.c").write_text(LIBRARY, encoding="utf-8")
    (folder / "app.c").write_text(APP, encoding="utf-8")
    return folder


def configure(source: Path, *options: str) -> Path:
    build = source / "build"
    must_run("cmake", "-S", source, "-B", build, "-G", "Ninja", *options)
    return build


def test_modules_targets_and_variables_of_a_parent_are_not_taken_for_ours(tmp_path: Path) -> None:
    """And none of what it installs is ours, unless it asks for that; also for another machine."""
    for module in (ROOT / "cmake").glob("*.cmake"):
        trap = 'message(FATAL_ERROR "this is the parent\'s")\n'
        (tmp_path / module.name).write_text(trap, encoding="utf-8")
    names = ("onnxruntime_headers", "catch2_header", "onnxruntime", "options", "core", "c_api")
    before = [
        f'list(PREPEND CMAKE_MODULE_PATH "{tmp_path}")',
        *(f"add_library({name} INTERFACE)" for name in names),
        *(f'set({name} "the parent\'s")' for name in ("_root", "_header", "_found", "_suffixes")),
    ]
    parent = write_parent(tmp_path / "parent", "\n".join(before))
    build = configure(parent, *CROSS)
    scripts = [path.read_text(encoding="utf-8") for path in build.rglob("cmake_install.cmake")]
    assert scripts
    assert "digitvae.h" not in "".join(scripts)


@pytest.mark.parametrize(("before", "install", "dependency"), [TWO_PACKAGES, ONE_PACKAGE])
def test_a_parent_can_export_a_library_that_links_ours(
    tmp_path: Path, before: str, install: str, dependency: str
) -> None:
    after = EXPORT.format(install=install, dependency=dependency)
    configure(write_parent(tmp_path / "parent", before, after))


@pytest.mark.slow
def test_what_such_a_parent_installs_can_be_used(tmp_path: Path) -> None:
    """The library is not optimised, which would take longer than the rest."""
    before, install, dependency = TWO_PACKAGES
    after = EXPORT.format(install=install, dependency=dependency)
    parent = write_parent(tmp_path / "parent", before, after)
    build = configure(parent, "-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_CXX_FLAGS_RELEASE=-O0")
    must_run("cmake", "--build", build)
    assert must_run(build / "app").decode().strip() == library_version()
    assert not list(build.rglob("*digitvae_tests*"))
    must_run("cmake", "--install", build, "--prefix", tmp_path / "prefix")
    user = tmp_path / "user"
    user.mkdir()
    (user / "user.c").write_text(
        "#include <stdio.h>\nconst char* version_below(void);\n"
        "int main(void) { return puts(version_below()) < 0; }\n",
        encoding="utf-8",
    )
    (user / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(user C)\n"
        "find_package(parent CONFIG REQUIRED)\nadd_executable(user user.c)\n"
        "target_link_libraries(user PRIVATE parent::parent)\n",
        encoding="utf-8",
    )
    use = configure(user, f"-DCMAKE_PREFIX_PATH={tmp_path / 'prefix'}")
    must_run("cmake", "--build", use)
    assert must_run(use / "user").decode().strip() == library_version()
