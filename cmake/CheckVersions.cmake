# One version, written in four places for four readers: CMake (project()), C (digitvae.h), pip (pyproject.toml) and
# Python (__init__.py). They must agree. Also sets DIGITVAE_ABI_VERSION from the header.

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
digitvae_read(_pip pyproject.toml "^version = \"([^\"]+)\"")
digitvae_read(_python python/digitvae/__init__.py "^__version__ = \"([^\"]+)\"")

if(NOT "${_major}.${_minor}.${_patch} ${_pip} ${_python}"
   STREQUAL "${PROJECT_VERSION} ${PROJECT_VERSION} ${PROJECT_VERSION}")
  message(FATAL_ERROR
    "The versions disagree: CMakeLists.txt ${PROJECT_VERSION}, digitvae.h ${_major}.${_minor}.${_patch}, "
    "pyproject.toml ${_pip}, __init__.py ${_python}.")
endif()
