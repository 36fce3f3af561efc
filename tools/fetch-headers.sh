#!/bin/sh
# Fill the local cache with the headers that building needs and this machine may lack:
#   onnxruntime/include  official C API of ONNX Runtime (header-only use, library opened at run time)
#   catch2/include       the single header of Catch2 2.x (C++ unit tests)
# On Debian they are taken from Debian packages, without root and without installing anything
# (Catch2 from Debian 12 only: later releases have Catch2 3, without the single header).
# Elsewhere nothing is done: CMake looks for system packages and then fetches pinned releases.
set -eu

label=headers
# shellcheck source=tools/debian-packages.sh
. "$(dirname "$0")/debian-packages.sh"

ort_header="$cache/onnxruntime/include/onnxruntime_c_api.h"
catch_header="$cache/catch2/include/catch2/catch.hpp"

# Debian's suites: Debian 12 has no libonnxruntime-dev, Debian 13 has (1.21, C API 21).
ort_suite=trixie

have_system_header() {
    for dir in /usr/include /usr/local/include; do
        for sub in '' onnxruntime/ onnxruntime/core/session/; do
            [ ! -f "$dir/$sub$1" ] || return 0
        done
    done
    return 1
}

need_ort=yes need_catch=yes
if [ -n "${ONNXRUNTIME_ROOT:-}" ]; then say "ONNX Runtime: ONNXRUNTIME_ROOT is set"; need_ort=no
elif have_system_header onnxruntime_c_api.h; then say "ONNX Runtime: system package"; need_ort=no
elif [ -f "$ort_header" ]; then say "ONNX Runtime: cached in $cache"; need_ort=no
fi
if have_system_header catch2/catch.hpp; then say "Catch2: system package"; need_catch=no
elif [ -f "$catch_header" ]; then say "Catch2: cached in $cache"; need_catch=no
fi
[ "$need_ort$need_catch" != nono ] || exit 0

if ! on_debian; then
    say "not a Debian release: CMake will look for system packages and then fetch pinned releases"
    exit 0
fi

work=$(mktemp -d)
if [ "$need_ort" = yes ]; then
    say "ONNX Runtime: taking libonnxruntime-dev of Debian $ort_suite (headers only)"
    if fetch_package "$ort_suite" libonnxruntime-dev; then
        install_folder "$work/libonnxruntime-dev/usr/include/onnxruntime" "$cache/onnxruntime/include"
        say "ONNX Runtime: cached in $cache/onnxruntime"
    else
        say "CMake will try the pinned release instead"
    fi
fi
if [ "$need_catch" = yes ]; then
    say "Catch2: taking catch2 of Debian $VERSION_CODENAME (headers only)"
    if fetch_package "$VERSION_CODENAME" catch2 && [ -f "$work/catch2/usr/include/catch2/catch.hpp" ]; then
        install_folder "$work/catch2/usr/include" "$cache/catch2/include"
        say "Catch2: cached in $cache/catch2"
    else
        say "CMake will try the pinned release instead"
    fi
fi
