# Defines the target digitvae_onnxruntime_headers: the official C header of ONNX Runtime, nothing to link.
#
# Looked for in this order, the first that has it wins:
#   1. ONNXRUNTIME_ROOT (environment or -D), then a system package (libonnxruntime-dev and the like)
#   2. the local cache that `make headers` fills
#   3. the pinned release archive, by FetchContent
# The shared library is not needed here: it is opened at run time. The header is the same on every platform, so where a
# toolchain file says that headers come from another machine's root alone, 2 and 3 are looked for on this one still.
include("${CMAKE_CURRENT_LIST_DIR}/DigitvaeCache.cmake")

set(DIGITVAE_ORT_RELEASE 1.23.2)
set(DIGITVAE_ORT_RELEASE_URL
    "https://github.com/microsoft/onnxruntime/releases/download/v${DIGITVAE_ORT_RELEASE}/onnxruntime-linux-x64-${DIGITVAE_ORT_RELEASE}.tgz"
    CACHE STRING "Archive of official headers (the same on every platform)")
set(DIGITVAE_ORT_RELEASE_SHA256 1fa4dcaef22f6f7d5cd81b28c2800414350c10116f5fdd46a2160082551c5f9b
    CACHE STRING "SHA-256 that this archive must have")

set(_suffixes include include/onnxruntime include/onnxruntime/core/session)
set(_header onnxruntime_c_api.h)

set(_root "$ENV{ONNXRUNTIME_ROOT}")
if(ONNXRUNTIME_ROOT)
  set(_root "${ONNXRUNTIME_ROOT}")
endif()
unset(DIGITVAE_ORT_INCLUDE CACHE)

if(_root)
  # Asked for by name: anything else would surprise, so a miss is an error, not a reason to look on.
  find_path(DIGITVAE_ORT_INCLUDE ${_header} PATHS "${_root}" PATH_SUFFIXES ${_suffixes} .
            NO_DEFAULT_PATH CMAKE_FIND_ROOT_PATH_BOTH)
  set(_origin "ONNXRUNTIME_ROOT")
  if(NOT DIGITVAE_ORT_INCLUDE)
    message(FATAL_ERROR
      "ONNXRUNTIME_ROOT is ${_root}, but there is no ${_header} in it or in its include folder.\n"
      "Point it at an unpacked ONNX Runtime release, or unset it.")
  endif()
endif()
if(NOT DIGITVAE_ORT_INCLUDE)
  find_path(DIGITVAE_ORT_INCLUDE ${_header} PATH_SUFFIXES onnxruntime onnxruntime/core/session)
  set(_origin "system package")
endif()
if(NOT DIGITVAE_ORT_INCLUDE)
  find_path(DIGITVAE_ORT_INCLUDE ${_header} PATHS "${DIGITVAE_CACHE_DIR}/onnxruntime" PATH_SUFFIXES include
            NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
  set(_origin "cache filled by make headers")
endif()
if(NOT DIGITVAE_ORT_INCLUDE)
  set(_archive "${CMAKE_BINARY_DIR}/onnxruntime-${DIGITVAE_ORT_RELEASE}.tgz")
  message(STATUS "ONNX Runtime headers: fetching release ${DIGITVAE_ORT_RELEASE}")
  # A first look with a short patience: without it an unreachable host costs minutes and ends in
  # a page of FetchContent output instead of one message that says what to do.
  file(DOWNLOAD "${DIGITVAE_ORT_RELEASE_URL}" "${_archive}"
       STATUS _status TIMEOUT 300 INACTIVITY_TIMEOUT 20 TLS_VERIFY ON)
  list(GET _status 0 _code)
  list(GET _status 1 _reason)
  if(_code EQUAL 0)
    file(SHA256 "${_archive}" _sha256)
    if(NOT _sha256 STREQUAL DIGITVAE_ORT_RELEASE_SHA256)
      set(_code 1)
      set(_reason "SHA-256 is ${_sha256}, expected ${DIGITVAE_ORT_RELEASE_SHA256}")
    endif()
  endif()
  if(NOT _code EQUAL 0)
    file(REMOVE "${_archive}")
    message(FATAL_ERROR
      "digitvae needs the headers of ONNX Runtime and found none. Any one of these helps:\n"
      "  1. set ONNXRUNTIME_ROOT to an unpacked ONNX Runtime release, or install a system package (libonnxruntime-dev);\n"
      "  2. run `make headers` in the source tree: it fills ${DIGITVAE_CACHE_DIR}/onnxruntime;\n"
      "  3. let this build download ${DIGITVAE_ORT_RELEASE_URL} (just tried: ${_reason}).\n")
  endif()
  include(FetchContent)
  FetchContent_Declare(digitvae_onnxruntime_release
    URL "${_archive}" URL_HASH SHA256=${DIGITVAE_ORT_RELEASE_SHA256}
    DOWNLOAD_EXTRACT_TIMESTAMP OFF)
  FetchContent_MakeAvailable(digitvae_onnxruntime_release)
  find_path(DIGITVAE_ORT_INCLUDE ${_header} PATHS "${digitvae_onnxruntime_release_SOURCE_DIR}/include"
            NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH REQUIRED)
  set(_origin "release ${DIGITVAE_ORT_RELEASE}")
endif()

file(STRINGS "${DIGITVAE_ORT_INCLUDE}/${_header}" _api_line REGEX "^#define ORT_API_VERSION [0-9]+")
string(REGEX MATCH "[0-9]+" _api "${_api_line}")
message(STATUS "ONNX Runtime headers: ${DIGITVAE_ORT_INCLUDE} (API ${_api}, ${_origin})")

add_library(digitvae_onnxruntime_headers INTERFACE)
target_include_directories(digitvae_onnxruntime_headers SYSTEM INTERFACE "${DIGITVAE_ORT_INCLUDE}")
