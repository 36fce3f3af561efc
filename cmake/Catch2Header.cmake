# Defines the target digitvae_catch2_header: the single header of Catch2 2.x. Looked for as a system package,
# then in the cache that `make headers` fills, then fetched as a pinned release.
include("${CMAKE_CURRENT_LIST_DIR}/DigitvaeCache.cmake")

unset(DIGITVAE_CATCH2_INCLUDE CACHE)
find_path(DIGITVAE_CATCH2_INCLUDE catch2/catch.hpp)
if(NOT DIGITVAE_CATCH2_INCLUDE)
  find_path(DIGITVAE_CATCH2_INCLUDE catch2/catch.hpp PATHS "${DIGITVAE_CACHE_DIR}/catch2/include"
            NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
endif()
if(NOT DIGITVAE_CATCH2_INCLUDE)
  include(FetchContent)
  FetchContent_Declare(digitvae_catch2_release
    URL https://github.com/catchorg/Catch2/archive/refs/tags/v2.13.10.tar.gz
    URL_HASH SHA256=d54a712b7b1d7708bc7a819a8e6e47b2fde9536f487b89ccbca295072a7d9943
    DOWNLOAD_EXTRACT_TIMESTAMP OFF)
  FetchContent_GetProperties(digitvae_catch2_release)
  if(NOT digitvae_catch2_release_POPULATED)
    FetchContent_Populate(digitvae_catch2_release)
  endif()
  find_path(DIGITVAE_CATCH2_INCLUDE catch2/catch.hpp PATHS "${digitvae_catch2_release_SOURCE_DIR}/single_include"
            NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH REQUIRED)
endif()
message(STATUS "Catch2: ${DIGITVAE_CATCH2_INCLUDE}")

add_library(digitvae_catch2_header INTERFACE)
target_include_directories(digitvae_catch2_header SYSTEM INTERFACE "${DIGITVAE_CATCH2_INCLUDE}")
