# The version of the C library is a constant, written for CMake (project()) and for C (digitvae.h). That of the Python
# package comes from git's tags; where there are none, it is the version to come: X.Y.Z.dev0, written for pip
# (pyproject.toml) and for Python (__init__.py). The four must agree, and a tag must not name another version.
# Also sets DIGITVAE_ABI_VERSION from the header.

# Sets `result` to what the parentheses of `pattern` match in a line of `file`.
function(digitvae_read result file pattern)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${file}")
  file(STRINGS "${PROJECT_SOURCE_DIR}/${file}" lines REGEX "${pattern}")
  if(NOT lines MATCHES "${pattern}")
    message(FATAL_ERROR "${file} has no line that matches ${pattern}")
  endif()
  set(${result} "${CMAKE_MATCH_1}" PARENT_SCOPE)
endfunction()

set(_header cpp/include/digitvae/digitvae.h)
digitvae_read(_major ${_header} "#define DVAE_VERSION_MAJOR ([0-9]+)")
digitvae_read(_minor ${_header} "#define DVAE_VERSION_MINOR ([0-9]+)")
digitvae_read(_patch ${_header} "#define DVAE_VERSION_PATCH ([0-9]+)")
digitvae_read(DIGITVAE_ABI_VERSION ${_header} "#define DVAE_ABI_VERSION ([0-9]+)")
digitvae_read(_pip pyproject.toml "^fallback_version = \"([^\"]+)\\.dev0\"")
digitvae_read(_python python/digitvae/__init__.py "^    __version__ = \"([^\"]+)\\.dev0\"")

if(NOT "${_major}.${_minor}.${_patch} ${_pip} ${_python}"
   STREQUAL "${PROJECT_VERSION} ${PROJECT_VERSION} ${PROJECT_VERSION}")
  message(FATAL_ERROR
    "The versions disagree: CMakeLists.txt ${PROJECT_VERSION}, digitvae.h ${_major}.${_minor}.${_patch}, "
    "pyproject.toml ${_pip}, __init__.py ${_python}.")
endif()

# Set by scikit-build-core. Only a release is held to it: what is built from commits between two of them is neither.
if(SKBUILD_PROJECT_VERSION_FULL MATCHES "^[0-9.]+$" AND NOT SKBUILD_PROJECT_VERSION_FULL STREQUAL PROJECT_VERSION)
  message(FATAL_ERROR
    "This is release ${SKBUILD_PROJECT_VERSION_FULL} by git's tag, but the sources say ${PROJECT_VERSION}: "
    "before the tag, the version is raised in CMakeLists.txt, digitvae.h, pyproject.toml and __init__.py.")
endif()
