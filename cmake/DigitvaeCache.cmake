# Sets DIGITVAE_CACHE_DIR: the folder that `make headers` fills (tools/fetch-headers.sh agrees on it).
if(DEFINED ENV{DIGITVAE_CACHE} AND NOT "$ENV{DIGITVAE_CACHE}" STREQUAL "")
  set(DIGITVAE_CACHE_DIR "$ENV{DIGITVAE_CACHE}")
elseif(DEFINED ENV{XDG_CACHE_HOME} AND NOT "$ENV{XDG_CACHE_HOME}" STREQUAL "")
  set(DIGITVAE_CACHE_DIR "$ENV{XDG_CACHE_HOME}/digitvae")
else()
  set(DIGITVAE_CACHE_DIR "$ENV{HOME}/.cache/digitvae")
endif()
