# Defines the target digitvae::onnxruntime: the shared library of ONNX Runtime, to link (DIGITVAE_LINK_ORT only).
#
# Looked for in this order, the first that has it wins:
#   1. DIGITVAE_ORT_LIBRARY (-D): the file itself, for example that of the Python package onnxruntime
#   2. ONNXRUNTIME_ROOT (environment or -D): lib/ of an unpacked release
#   3. a system package
# What comes from 1 and 2 is nowhere a loader looks, so a copy is installed beside libdigitvae (DIGITVAE_ORT_COPY).
set(DIGITVAE_ORT_LIBRARY "" CACHE FILEPATH "With DIGITVAE_LINK_ORT: the libonnxruntime file to link")

set(_root "$ENV{ONNXRUNTIME_ROOT}")
if(ONNXRUNTIME_ROOT)
  set(_root "${ONNXRUNTIME_ROOT}")
endif()

unset(_digitvae_ort)   # not empty: find_library would take that for an answer
set(DIGITVAE_ORT_COPY ON)
if(DIGITVAE_ORT_LIBRARY)
  set(_tried "DIGITVAE_ORT_LIBRARY=${DIGITVAE_ORT_LIBRARY}")
  if(EXISTS "${DIGITVAE_ORT_LIBRARY}" AND NOT IS_DIRECTORY "${DIGITVAE_ORT_LIBRARY}")
    set(_digitvae_ort "${DIGITVAE_ORT_LIBRARY}")
  endif()
elseif(_root)
  set(_tried "ONNXRUNTIME_ROOT=${_root}")
  find_library(_digitvae_ort NAMES libonnxruntime.so.1 onnxruntime PATHS "${_root}/lib" "${_root}/lib64"
               NO_DEFAULT_PATH NO_CACHE CMAKE_FIND_ROOT_PATH_BOTH)
else()
  set(_tried "the system's libraries")
  find_library(_digitvae_ort NAMES onnxruntime libonnxruntime.so.1 NO_CACHE)
  set(DIGITVAE_ORT_COPY OFF)
endif()
if(NOT _digitvae_ort)
  message(FATAL_ERROR
    "DIGITVAE_LINK_ORT needs the ONNX Runtime library, and there is none (looked in: ${_tried}). Any one of these helps:\n"
    "  1. -DDIGITVAE_ORT_LIBRARY=/path/to/libonnxruntime.so.1.x (the Python package onnxruntime has one in capi/);\n"
    "  2. -DONNXRUNTIME_ROOT=/path/to an unpacked ONNX Runtime release;\n"
    "  3. a system package (libonnxruntime-dev);\n"
    "  4. -DDIGITVAE_LINK_ORT=OFF: then it is opened at run time and not needed here.\n")
endif()
file(REAL_PATH "${_digitvae_ort}" DIGITVAE_ORT_FILE)
message(STATUS "ONNX Runtime library, to be linked: ${DIGITVAE_ORT_FILE}")

# Programs will look for the name it has as a shared library, which its file need not have: libonnxruntime.so.1 in
# official builds, libonnxruntime.so.1.21 in Debian.
execute_process(COMMAND "${CMAKE_READELF}" -d "${DIGITVAE_ORT_FILE}" OUTPUT_VARIABLE _dynamic ERROR_QUIET)
if(NOT _dynamic MATCHES "\\(SONAME\\)[^[]*\\[([^]]+)\\]")
  message(FATAL_ERROR "${DIGITVAE_ORT_FILE} is no shared library with a name (SONAME), says ${CMAKE_READELF} -d")
endif()
set(DIGITVAE_ORT_SONAME "${CMAKE_MATCH_1}")
set(_location "${PROJECT_BINARY_DIR}/onnxruntime/${DIGITVAE_ORT_SONAME}")
file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/onnxruntime")
file(CREATE_LINK "${DIGITVAE_ORT_FILE}" "${_location}" SYMBOLIC)

add_library(digitvae::onnxruntime SHARED IMPORTED GLOBAL)
set_target_properties(digitvae::onnxruntime PROPERTIES
  IMPORTED_LOCATION "${_location}"
  IMPORTED_SONAME "${DIGITVAE_ORT_SONAME}")
