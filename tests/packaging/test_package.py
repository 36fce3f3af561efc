"""The installed package, used as docs/embedding.md says: CMake, pkg-config, shared, static."""

from __future__ import annotations

import ctypes
import re
import shutil
from pathlib import Path

import pytest
from libdigitvae import OpenOptions

import digitvae as dv
from tests.support.packages import (
    CROSS,
    DECODER,
    FIRST_PLACE,
    ROOT,
    Installed,
    build_and_install,
    code_of_guide,
    library_version,
    must_run,
    run,
)
from tests.support.running import too_old_runtime

FILES = {
    "include/digitvae/digitvae.h",
    "include/digitvae/digitvae.hpp",
    "lib/libdigitvae.so",
    "lib/libdigitvae.so.1",
    f"lib/libdigitvae.so.{library_version()}",
    "lib/libdigitvae.a",
    "lib/cmake/digitvae/DigitvaeEmbedBundle.cmake",
    "lib/cmake/digitvae/digitvaeConfig.cmake",
    "lib/cmake/digitvae/digitvaeConfigVersion.cmake",
    "lib/cmake/digitvae/digitvaeTargets.cmake",
    "lib/cmake/digitvae/digitvaeTargets-release.cmake",
    "lib/pkgconfig/digitvae.pc",
    "share/digitvae/mnist/decoder.onnx",
    "share/digitvae/mnist/encoder.onnx",
    "share/digitvae/mnist/prior.onnx",
    "share/doc/digitvae/LICENSE",
}

RAMP = " .:-=+*#%@"


def ascii_art(seed: int) -> str:
    """Digit 0 of a seed as the programs print it."""
    lines = dv.load().sample(1, seed=seed)[0].astype(int) * 10 // 256
    return "".join("".join(RAMP[pixel] for pixel in line) + "\n" for line in lines)


@pytest.fixture
def guide_project(tmp_path: Path) -> Path:
    """A folder outside the repository with the guide's C program and its CMakeLists.txt."""
    folder = tmp_path / "guide"
    folder.mkdir()
    program = code_of_guide("c", "int main")
    project = code_of_guide("cmake", "find_package(digitvae 1 CONFIG REQUIRED)")
    assert len(project.splitlines()) <= 10
    assert len(program.splitlines()) <= 20
    (folder / "digit.c").write_text(program, encoding="utf-8")
    (folder / "CMakeLists.txt").write_text(project, encoding="utf-8")
    return folder


def test_the_files_of_the_package_are_these_and_hold_no_path_of_this_machine(
    installed: Installed,
) -> None:
    files = [path for path in installed.prefix.rglob("*") if path.is_file()]
    names = (str(path.relative_to(installed.prefix)) for path in files)
    assert {re.sub(rf"^{installed.libraries.name}/", "lib/", name) for name in names} == FILES
    for file in files:
        content = file.read_bytes()
        assert FIRST_PLACE.encode() not in content, file
        assert str(ROOT).encode() not in content, file


def test_ten_lines_of_cmake_and_twenty_of_c_print_a_digit(
    installed: Installed, guide_project: Path, tmp_path: Path
) -> None:
    build = installed.cmake_build(guide_project, tmp_path / "build")
    assert must_run(build / "digit", DECODER).decode() == ascii_art(7)


def test_the_guide_s_cpp_program_builds_and_prints_it_too(
    installed: Installed, tmp_path: Path
) -> None:
    (tmp_path / "digit.cpp").write_text(code_of_guide("cpp", "int main"), encoding="utf-8")
    flags = [f"-I{installed.prefix}/include", f"-L{installed.libraries}", "-ldigitvae"]
    program = tmp_path / "digit"
    must_run("g++", "-std=c++17", "-Wall", "-Werror", tmp_path / "digit.cpp", "-o", program, *flags)
    library_path = {"LD_LIBRARY_PATH": str(installed.libraries)}
    assert must_run(program, DECODER, env=library_path).decode() == ascii_art(7)


@pytest.mark.parametrize("static", [False, True])
def test_pkg_config_gives_the_flags(
    installed: Installed, guide_project: Path, tmp_path: Path, static: bool
) -> None:
    environment = {"PKG_CONFIG_PATH": str(installed.libraries / "pkgconfig")}
    version = must_run("pkg-config", "--modversion", "digitvae", env=environment)
    assert version.decode().strip() == library_version()
    ask = "pkg-config --cflags --libs digitvae"
    if static:
        ask = "pkg-config --static --cflags --libs digitvae | sed s/-ldigitvae/-l:libdigitvae.a/"
    program = tmp_path / "digit"
    # As in the guide, by a shell: pkg-config escapes spaces for one.
    build = f'eval gcc "$1" -o "$2" $({ask})'
    sources = [guide_project / "digit.c", program]
    must_run("sh", "-c", build, "sh", *sources, env=environment)
    library_path = {"LD_LIBRARY_PATH": "" if static else str(installed.libraries)}
    assert must_run(program, DECODER, env=library_path).decode() == ascii_art(7)
    assert (b"libdigitvae" in must_run("ldd", program, env=library_path)) == (not static)


def test_another_major_version_is_refused(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(p C)\nfind_package(digitvae 2 CONFIG)\n"
        "message(STATUS found=${digitvae_FOUND})\n",
        encoding="utf-8",
    )
    prefix = f"-DCMAKE_PREFIX_PATH={installed.prefix}"
    said = must_run("cmake", "-S", tmp_path, "-B", tmp_path / "build", prefix)
    assert b"found=0" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("app /nowhere", "there is no /nowhere/decoder.onnx"),
        ("app ${digitvae_BUNDLE_DIR} MODELS decoders", "decoders is no model"),
        ("app ${digitvae_BUNDLE_DIR} NAME 2nd", "NAME 2nd is not an identifier"),
        ("app ${digitvae_BUNDLE_DIR} MODEL decoder", "unknown arguments: MODEL"),
        (
            "app ${digitvae_BUNDLE_DIR})\ndigitvae_embed_bundle(app ${digitvae_BUNDLE_DIR}",
            "app has a digitvae_bundle already",
        ),
    ],
)
def test_a_bundle_that_cannot_be_embedded_is_told(
    installed: Installed, tmp_path: Path, arguments: str, message: str
) -> None:
    (tmp_path / "app.c").write_text("int main(void) { return 0; }\n", encoding="utf-8")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(p C)\nfind_package(digitvae 1 REQUIRED)\n"
        f"add_executable(app app.c)\ndigitvae_embed_bundle({arguments})\n",
        encoding="utf-8",
    )
    prefix = f"-DCMAKE_PREFIX_PATH={installed.prefix}"
    done = run("cmake", "-S", tmp_path, "-B", tmp_path / "build", prefix)
    assert done.returncode != 0
    assert message in " ".join(done.stderr.decode().split())


SEVEN = """
#include <digitvae/digitvae.h>
#include <digitvae_bundle.h>
#include <stdio.h>

#define OPEN(model) \\
  dvae_##model##_open_memory(digitvae_bundle_##model, digitvae_bundle_##model##_size, NULL, &model)

int main(void) {
  dvae_decoder* decoder = NULL;
  dvae_encoder* encoder = NULL;
  dvae_prior* prior = NULL;
  unsigned char image[28][28];
  dvae_sample_options options = DVAE_SAMPLE_OPTIONS_INIT;
  dvae_status status = OPEN(decoder);
  if (status == DVAE_OK) status = OPEN(encoder);
  if (status == DVAE_OK) status = OPEN(prior);
  options.prior = prior;
  options.digit = 7;
  if (status == DVAE_OK)
    status = dvae_sample_u8(decoder, &options, 1, image[0], sizeof image, NULL);
  if (status == DVAE_OK) fwrite(image, sizeof image, 1, stdout);
  if (status != DVAE_OK) fprintf(stderr, "%s\\n", dvae_last_error());
  dvae_prior_close(prior);
  dvae_encoder_close(encoder);
  dvae_decoder_close(decoder);
  return status;
}
"""


def test_every_installed_model_can_be_compiled_in(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "seven.c").write_text(SEVEN, encoding="utf-8")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(p C)\nfind_package(digitvae 1 REQUIRED)\n"
        "add_executable(seven seven.c)\n"
        "target_link_libraries(seven PRIVATE digitvae::digitvae_static)\n"
        'digitvae_embed_bundle(seven "${digitvae_BUNDLE_DIR}" MODELS decoder encoder prior)\n',
        encoding="utf-8",
    )
    build = installed.cmake_build(tmp_path, tmp_path / "build")
    assert must_run(build / "seven") == dv.load().sample(1, seed=0, digit=7).tobytes()


@pytest.fixture
def debian_s_onnx_runtime(tmp_path: Path) -> Path:
    """A library with the file and name that Debian gives it, and nothing in it."""
    (tmp_path / "debian").mkdir()
    return too_old_runtime(tmp_path / "debian" / "libonnxruntime.so.1.21")


def test_the_library_is_found_by_the_name_that_debian_gives_it(
    installed: Installed, guide_project: Path, tmp_path: Path, debian_s_onnx_runtime: Path
) -> None:
    build = installed.cmake_build(guide_project, tmp_path / "build")
    where = {"DIGITVAE_ORT_LIBRARY": "", "LD_LIBRARY_PATH": str(debian_s_onnx_runtime.parent)}
    done = run(build / "digit", DECODER, env=where)
    assert "libonnxruntime.so.1.21 is version 1.4.0, too old" in done.stderr.decode()
    missing = run(build / "digit", DECODER, env={"DIGITVAE_ORT_LIBRARY": ""})
    assert "no ONNX Runtime library was found" in missing.stderr.decode()


@pytest.fixture(scope="module")
def linked_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build folder for all that is linked: what is compiled is the same."""
    return tmp_path_factory.mktemp("linked") / "build"


def install_linked(build: Path, prefix: Path, ort_library: Path) -> Installed:
    """Link ONNX Runtime. The library is not optimised, which would take longer than the rest."""
    options = ("-DDIGITVAE_LINK_ORT=ON", f"-DDIGITVAE_ORT_LIBRARY={ort_library}")
    plain = ("-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_CXX_FLAGS_RELEASE=-O0")
    must_run("cmake", "-S", ROOT, "-B", build, "-G", "Ninja", *plain, *options)
    return build_and_install(build, prefix)


@pytest.mark.slow
def test_it_is_linked_by_that_name_too(
    linked_build: Path, guide_project: Path, tmp_path: Path, debian_s_onnx_runtime: Path
) -> None:
    linked = install_linked(linked_build, tmp_path / "linked", debian_s_onnx_runtime)
    # Beside libdigitvae, even where a toolchain file has libraries looked for elsewhere.
    build = linked.cmake_build(guide_project, tmp_path / "program", CROSS[0], CROSS[2])
    assert b"is version 1.4.0, too old" in run(build / "digit", DECODER).stderr
    dependencies = must_run("ldd", linked.shared_library).decode()
    assert f"libonnxruntime.so.1.21 => {linked.libraries}/libonnxruntime.so.1.21" in dependencies


@pytest.mark.slow
def test_onnx_runtime_can_be_linked_instead(
    linked_build: Path, guide_project: Path, tmp_path: Path, ort_library: Path
) -> None:
    first = install_linked(linked_build, tmp_path / "linked", ort_library)
    shutil.rmtree(linked_build)  # nothing of it is needed
    linked = Installed(first.prefix.rename(tmp_path / "moved"))
    build = linked.cmake_build(guide_project, tmp_path / "program")
    not_looked_at = {"DIGITVAE_ORT_LIBRARY": "/missing"}
    assert must_run(build / "digit", DECODER, env=not_looked_at).decode() == ascii_art(7)
    assert b"libonnxruntime.so.1" in must_run("ldd", linked.shared_library)
    library = ctypes.CDLL(str(linked.shared_library))
    assert library.dvae_runtime_is_linked() == 1
    library.dvae_last_error.restype = ctypes.c_char_p
    asked_for = OpenOptions(ctypes.sizeof(OpenOptions), b"libonnxruntime.so.1")
    handle = ctypes.c_void_p()
    path = str(DECODER).encode()
    assert library.dvae_decoder_open(path, ctypes.byref(asked_for), ctypes.byref(handle)) == 1
    assert b"this build of digitvae has one linked in" in library.dvae_last_error()


def test_linking_and_the_python_module_do_not_go_together(tmp_path: Path) -> None:
    options = ("-DDIGITVAE_LINK_ORT=ON", "-DDIGITVAE_BUILD_PYTHON=ON")
    done = run("cmake", "-S", ROOT, "-B", tmp_path, *options)
    assert done.returncode != 0
    assert b"DIGITVAE_LINK_ORT does not go with DIGITVAE_BUILD_PYTHON" in done.stderr
