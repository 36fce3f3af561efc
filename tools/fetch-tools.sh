#!/bin/sh
# Fill the local cache with the tools that guard the product and this machine may lack.
#   sh tools/fetch-tools.sh [valgrind] [clang] [sdl2] [chromium] [node]    those, or all but node
#   sh tools/fetch-tools.sh --have TOOL...  is it there? Fetches nothing, says nothing
#   sh tools/fetch-tools.sh --print-path    the folder to put in front of PATH
# Exits with 3 if the machine lacks a tool that this script cannot fetch. Then it says how to get it.
# They are left in $cache/tools:
#   bin/valgrind             with the debug symbols of the C library, without which it does not start
#   bin/clang, bin/clang++   with libFuzzer and the sanitizers
#   bin/llvm-symbolizer      for ASAN_SYMBOLIZER_PATH: Debian's sanitizers do not look for it on PATH
#   bin/chromium             for the browser tests
#   sdl2                     for CMAKE_PREFIX_PATH: find_package(SDL2 CONFIG) defines SDL2::SDL2
# On Debian they are taken from Debian packages, without root and without installing anything. Node.js is looked for,
# and never fetched: Debian's is too old.
# shellcheck disable=SC2329   # have_* and fetch_* are called by name
set -eu

label=tools
# shellcheck source=tools/debian-packages.sh
. "$(dirname "$0")/debian-packages.sh"

tools="$cache/tools"

# place NAME COMMAND...: move the tool from $work to the cache, its commands last: they are what is looked for.
place() {
    name=$1
    shift
    install_folder "$work/$name" "$tools/$name" && mkdir -p "$tools/bin" || return 1
    for command; do
        staged="$tools/bin/$command.$$"
        mv "$work/bin/$command" "$staged" && mv "$staged" "$tools/bin/$command" || return 1
    done
    staged=''
    say "$name: cached in $tools/$name"
}

# link_needed FOLDER FILE: link in FOLDER/needed those libraries that the program or library FILE needs and
# only FOLDER has. Only those: were all of FOLDER in a search path, other programs (the linker that clang
# calls, say) would get libraries of another version than they were made for.
link_needed() {
    mkdir -p "$1/needed"
    while
        libraries=$(LD_LIBRARY_PATH="$1/needed" ldd "$2" | sed -n 's/^[[:space:]]*\(.*\) => not found$/\1/p' | sort -u)
        [ -n "$libraries" ]
    do
        for library in $libraries; do
            found=$(cd "$1" && find usr/lib lib -name "$library" 2>/dev/null | head -n 1)
            if [ -z "$found" ] || ! ln -s "../$found" "$1/needed/$library"; then
                say "$(basename "$2") needs $library, which the packages lack"
                return 1
            fi
        done
    done
}

# valgrind_works COMMAND: silent, too: it also runs when it could not load what it checks the heap with.
valgrind_works() {
    command -v "$1" >/dev/null && "$1" -q --error-exitcode=1 /bin/true >"$work/valgrind.log" 2>&1 &&
        [ ! -s "$work/valgrind.log" ]
}

have_valgrind() {
    if valgrind_works "$tools/bin/valgrind"; then say "valgrind: cached in $tools/valgrind"
    elif valgrind_works valgrind; then say "valgrind: on PATH"
    else return 1
    fi
}

fetch_valgrind() {
    case $tools in
    *[[:space:]:]*)
        say "valgrind: the cache must have no space or colon in its path, unlike $cache: set DIGITVAE_CACHE"
        return 1
        ;;
    esac
    arch=$(dpkg --print-architecture)
    libc=$(dpkg-query -W -f '${Version}' "libc6:$arch")
    say "valgrind: taking valgrind and libc6-dbg of Debian $VERSION_CODENAME (22 MB)"
    # Debug symbols serve only the very build of the C library that they were made with.
    fetch_closure "$VERSION_CODENAME" valgrind valgrind "libc6-dbg=$libc" || {
        say "valgrind: if Debian no longer has libc6-dbg $libc, upgrade libc6"
        return 1
    }
    # In a folder other than /usr/lib/debug, valgrind looks by the library's path, not by its build id.
    symbols="$work/valgrind/usr/lib/debug"
    path=$(ldd /bin/true | sed -n 's|.* => \(/.*\)/libc\.so\.6 .*|\1|p')
    mkdir -p "$symbols$path" && mv "$symbols"/.build-id/*/*.debug "$symbols$path" || return 1
    mkdir -p "$work/bin"
    cat >"$work/bin/valgrind" <<'END'
#!/bin/sh
# Written by tools/fetch-tools.sh.
tool=$(cd "${0%/*}/../valgrind" && pwd) || exit
VALGRIND_LIB="$tool/usr/libexec/valgrind"
export VALGRIND_LIB
exec "$tool/usr/bin/valgrind.bin" --extra-debuginfo-path="$tool/usr/lib/debug" "$@"
END
    chmod +x "$work/bin/valgrind"
    valgrind_works "$work/bin/valgrind" || {
        say "valgrind: unpacked, but does not run:"
        tail -n 5 "$work/valgrind.log" >&2
        return 1
    }
    place valgrind valgrind
}

# clang_works COMMAND: does it build programs with all that fuzzing needs, which then run?
clang_works() {
    command -v "$1" >/dev/null || return 1
    echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char *, unsigned long) { return 0; }' |
        "$1" -fsanitize=fuzzer,address,undefined -x c++ - -o "$work/probe" >"$work/probe.log" 2>&1 &&
        "$work/probe" -runs=1 >>"$work/probe.log" 2>&1
}

have_clang() {
    if clang_works "$tools/bin/clang++"; then say "clang: cached in $tools/clang"
    elif clang_works clang++; then say "clang: on PATH"
    else return 1
    fi
}

fetch_clang() {
    open_lists "$VERSION_CODENAME"
    version=$(private_apt apt-cache depends clang 2>>"$apt_dir/log" | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p')
    [ -n "$version" ] || { download_failed clang "$VERSION_CODENAME"; return 1; }
    say "clang: taking clang-$version, its libraries and llvm-$version of Debian $VERSION_CODENAME (26 to 72 MB)"
    fetch_closure "$VERSION_CODENAME" clang "clang-$version" "libclang-common-$version-dev" \
        "libclang-rt-$version-dev" "llvm-$version" || return 1
    mkdir -p "$work/bin"
    for command in clang clang++ llvm-symbolizer; do
        link_needed "$work/clang" "$work/clang/usr/lib/llvm-$version/bin/$command" || return 1
        cat >"$work/bin/$command" <<END
#!/bin/sh
# Written by tools/fetch-tools.sh.
tool=\$(cd "\${0%/*}/../clang" && pwd) || exit
LD_LIBRARY_PATH="\$tool/needed\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
export LD_LIBRARY_PATH
exec "\$tool/usr/lib/llvm-$version/bin/$command" "\$@"
END
        chmod +x "$work/bin/$command"
    done
    clang_works "$work/bin/clang++" || {
        say "clang: unpacked, but does not build a program that runs (it needs g++ installed):"
        tail -n 5 "$work/probe.log" >&2
        return 1
    }
    place clang llvm-symbolizer clang clang++
}

have_sdl2() {
    if [ -f "$tools/sdl2/cmake/SDL2Config.cmake" ]; then say "sdl2: cached in $tools/sdl2"
    elif pkg-config --exists sdl2 2>/dev/null || sdl2-config --version >/dev/null 2>&1; then say "sdl2: system package"
    else return 1
    fi
}

fetch_sdl2() {
    say "sdl2: taking libsdl2-dev of Debian $VERSION_CODENAME and what SDL needs to run (4 to 7 MB)"
    # Not what libsdl2-dev depends on: that is half a desktop's development packages.
    fetch_package "$VERSION_CODENAME" libsdl2-dev &&
        fetch_closure "$VERSION_CODENAME" sdl2 libsdl2-2.0-0 &&
        cp -r "$work/libsdl2-dev/usr/include" "$work/sdl2/usr/" || return 1
    sdl=$(cd "$work/sdl2" && find usr/lib -name libSDL2-2.0.so.0)
    config=$(cd "$work/sdl2" && find usr/include -name _real_SDL_config.h)
    [ -n "$sdl" ] && [ -n "$config" ] || { say "sdl2: the packages lack SDL's library or headers"; return 1; }
    link_needed "$work/sdl2" "$work/sdl2/$sdl" && ln -s "../$sdl" "$work/sdl2/needed" || return 1
    mkdir -p "$work/sdl2/cmake"
    cat >"$work/sdl2/cmake/SDL2Config.cmake" <<END
# Written by tools/fetch-tools.sh.
if(NOT TARGET SDL2::SDL2)
  get_filename_component(_sdl2_root "\${CMAKE_CURRENT_LIST_DIR}" DIRECTORY)
  file(GLOB _sdl2_libraries "\${_sdl2_root}/needed/*")
  add_library(SDL2::SDL2 INTERFACE IMPORTED)
  # The program itself has to load all of SDL's libraries: they look for each other in the system's folders alone,
  # unless already loaded.
  set_target_properties(SDL2::SDL2 PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES
      "\${_sdl2_root}/usr/include/SDL2;\${_sdl2_root}/usr/include;\${_sdl2_root}/${config%/SDL2/*}"
    INTERFACE_LINK_OPTIONS
      "LINKER:--push-state,--no-as-needed;\${_sdl2_libraries};LINKER:--pop-state,-rpath,\${_sdl2_root}/needed")
endif()
END
    install_folder "$work/sdl2" "$tools/sdl2" && say "sdl2: cached in $tools/sdl2"
}

# chromium_works COMMAND: does it draw a page?
chromium_works() {
    command -v "$1" >/dev/null && HOME="$work" "$1" --headless --no-sandbox --disable-gpu --dump-dom \
        --user-data-dir="$work/profile" 'data:text/html,<p>drawn' 2>"$work/chromium.log" | grep -q drawn
}

have_chromium() {
    if chromium_works "$tools/bin/chromium"; then say "chromium: cached in $tools/chromium"
    elif chromium_works "${CHROMIUM:-chromium}"; then say "chromium: on PATH"
    else return 1
    fi
}

fetch_chromium() {
    say "chromium: taking chromium, its libraries and a font of Debian $VERSION_CODENAME (some 100 MB)"
    fetch_closure "$VERSION_CODENAME" chromium chromium chromium-common fonts-dejavu-core || return 1
    # All libraries of the packages, also those that no program names but that others load by name (NSS).
    libraries=$(cd "$work/chromium" && find usr/lib lib -name '*.so*' ! -path '*/chromium/*' 2>/dev/null |
        sed 's|/[^/]*$||' | sort -u | sed 's|^|$tool/|' | tr '\n' ':')
    mkdir -p "$work/bin"
    cat >"$work/bin/chromium" <<END
#!/bin/sh
# Written by tools/fetch-tools.sh.
tool=\$(cd "\${0%/*}/../chromium" && pwd) || exit
LD_LIBRARY_PATH="$libraries\${LD_LIBRARY_PATH:-}"
XDG_DATA_DIRS="\$tool/usr/share:\${XDG_DATA_DIRS:-/usr/local/share:/usr/share}"
export LD_LIBRARY_PATH XDG_DATA_DIRS
exec "\$tool/usr/lib/chromium/chromium" "\$@"
END
    chmod +x "$work/bin/chromium"
    chromium_works "$work/bin/chromium" || {
        say "chromium: unpacked, but does not draw a page:"
        tail -n 5 "$work/chromium.log" >&2
        return 1
    }
    place chromium chromium
}

have_node() {
    command -v npm >/dev/null && node -e '
        const [major, minor] = process.versions.node.split(".").map(Number);
        process.exit(major > 20 || (major == 20 && minor >= 19) ? 0 : 1)' 2>/dev/null || return 1
    say "node: on PATH"
}

if [ "${1:-}" = --print-path ]; then
    printf '%s\n' "$tools/bin"
    exit 0
fi
only_ask=false
if [ "${1:-}" = --have ]; then
    only_ask=true
    shift
fi
[ $# -gt 0 ] || set -- valgrind clang sdl2 chromium
for tool; do
    case $tool in
    valgrind | clang | sdl2 | chromium | node) ;;
    *) say "no tool '$tool': ask for valgrind, clang, sdl2, chromium or node" >&2; exit 2 ;;
    esac
done

work=$(mktemp -d)
missing=''
for tool; do
    if $only_ask; then
        "have_$tool" >/dev/null || exit 1
    else
        "have_$tool" || missing="$missing $tool"
    fi
done
[ -n "$missing" ] || exit 0
status=0
case "$missing " in *" node "*)   # first: what goes with it need not be fetched
    say "node: install Node.js >= 20.19 with npm, from https://nodejs.org or your system's packages"
    exit 3
    ;;
esac
for tool in $missing; do
    if ! on_debian; then
        say "$tool: install it with your package manager"
        status=3
    elif ! "fetch_$tool"; then
        say "$tool: not fetched, see above; or install it with your package manager" >&2
        exit 1
    fi
done
exit $status
