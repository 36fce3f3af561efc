# Functions of the fetch-*.sh scripts, which source this file: take files out of Debian packages,
# without root and without installing anything. `label` names the script in what it says.
# shellcheck shell=sh disable=SC2034   # what is set here is used there

cache="${DIGITVAE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/digitvae}"

say() { printf '%s: %s\n' "${label:?}" "$*"; }

work='' staged=''
cleanup() {
    [ -z "$work" ] || rm -rf "$work"
    [ -z "$staged" ] || rm -rf "$staged"
}
trap cleanup EXIT
trap 'exit 130' HUP INT TERM

# on_debian: is this a Debian release, with its tools? Sets VERSION_CODENAME.
on_debian() {
    ID='' VERSION_CODENAME=''
    # shellcheck source=/dev/null
    [ ! -r /etc/os-release ] || . /etc/os-release
    [ "$ID" = debian ] && [ -n "$VERSION_CODENAME" ] &&
        command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null
}

# open_lists SUITE: set apt_dir to package lists of our own for SUITE, from the machine's own source
# files with the suite's name replaced. Nothing of the system's package state is changed, so no root is needed.
open_lists() {
    apt_dir="$work/apt-$1"
    [ ! -d "$apt_dir" ] || return 0
    mkdir -p "$apt_dir/sources" "$apt_dir/lists/partial" "$apt_dir/cache/archives/partial"
    for source in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
        [ -f "$source" ] || continue
        grep -qw "$VERSION_CODENAME" "$source" || continue
        sed "s/\b$VERSION_CODENAME\b/$1/g" "$source" >"$apt_dir/sources/$(basename "$source")"
    done
    private_apt apt-get -qq update >"$apt_dir/log" 2>&1 || true   # a third-party source may lack the suite
}

# private_apt TOOL ARGUMENT...: an apt tool on the lists that open_lists opened last.
private_apt() {
    apt_tool=$1
    shift
    "$apt_tool" -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$apt_dir/sources" \
        -o Dir::State::Lists="$apt_dir/lists" -o Dir::Cache="$apt_dir/cache" -o Acquire::Languages=none \
        -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=3 -o Acquire::http::Timeout=30 "$@"
}

download_failed() {
    say "could not download $1 from $2:"
    tail -n 5 "$apt_dir/log" >&2
    return 1
}

# fetch_package SUITE PACKAGE: download and unpack one Debian package into $work/PACKAGE.
fetch_package() {
    open_lists "$1"
    mkdir -p "$work/$2"
    (cd "$work/$2" && private_apt apt-get download "$2" >>"$apt_dir/log" 2>&1 && dpkg-deb -x ./*.deb .) ||
        download_failed "$2" "$1"
}

# fetch_closure SUITE FOLDER PACKAGE...: the same for packages (even those that are installed) together
# with what they depend on and this machine lacks, all into $work/FOLDER.
fetch_closure() {
    suite=$1 folder=$2
    shift 2
    open_lists "$suite"
    rm -f "$apt_dir"/cache/archives/*.deb
    # Nothing is installed, hence no need for the system's lock.
    private_apt apt-get install --download-only --reinstall --no-install-recommends -qq -y \
        -o Debug::NoLocking=1 "$@" </dev/null >>"$apt_dir/log" 2>&1 || download_failed "$*" "$suite" || return 1
    mkdir -p "$work/$folder"
    for deb in "$apt_dir"/cache/archives/*.deb; do
        dpkg-deb -x "$deb" "$work/$folder" || return 1
    done
}

# install_folder FROM TO: move there, to appear whole or not at all, whoever else is filling the cache.
install_folder() {
    staged="$2.$$"
    mkdir -p "$(dirname "$2")" && mv -T "$1" "$staged" && rm -rf "$2" && mv -T "$staged" "$2" || return 1
    staged=''
}
