# SPDX-License-Identifier: MIT
# Shell functions shared by tools/quickstart and tools/test: messages, Debian packages, build directories.
# Sourced, never run. Contract: `top` is the source tree's root; nothing here changes the system except
# need_packages, and that only when a package really is missing.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Needed to build and run the emulator, and what the tests need on top of that.
BUILD_PACKAGES="gcc libc6-dev meson ninja-build pkg-config python3-minimal python3 libfdt-dev libslirp-dev zlib1g-dev
    libzstd-dev libjson-c-dev llvm-19-dev"
TEST_PACKAGES="g++ binutils libcriterion-dev libunicorn-dev gcc-aarch64-linux-gnu libc6-dev-arm64-cross
    libmpfr-dev qemu-user-static qemu-system-arm ipxe-qemu qemu-utils
    device-tree-compiler tmux gdb-multiarch lldb-19 qemu-efi-aarch64 u-boot-qemu acpica-tools dmidecode"
FUZZ_PACKAGES="clang libclang-rt-14-dev"

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

# as_root COMMAND...: run it directly when root, else through sudo.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -- "$@"; fi
}

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# need_packages NAME...: installs those that are missing; asks apt for nothing when none is.
need_packages() {
    local missing=() name
    command -v dpkg-query >/dev/null ||
        die "there is no dpkg here; install what tools/lib.sh names by hand and build with meson."
    for name in "$@"; do
        installed "$name" || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        die "these packages are missing and neither root nor sudo is available to install them: ${missing[*]}."
    fi
    say "installing ${missing[*]}"
    local log; log=$(mktemp)
    if ! { as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update &&
           as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}"
         } >"$log" 2>&1 </dev/null; then
        tail -n 15 "$log" >&2; rm -f "$log"
        die "apt could not install ${missing[*]} (its last lines stand above)."
    fi
    rm -f "$log"
}

# configure DIR MESON-ARGUMENT...: set up DIR, or bring an existing one to these options.
configure() {
    local dir=$1 log; shift
    log=$(mktemp)
    if [ -f "$dir/build.ninja" ] && meson setup --reconfigure "$dir" "$top" "$@" >"$log" 2>&1; then
        rm -f "$log"; return 0
    fi
    rm -rf "$dir"
    if ! meson setup "$dir" "$top" "$@" >"$log" 2>&1; then
        tail -n 20 "$log" >&2; rm -f "$log"
        die "meson could not configure ${dir#"$top"/} (its last lines stand above)."
    fi
    rm -f "$log"
}

# build DIR [NINJA-TARGET...]
build() {
    local dir=$1; shift
    say "building ${dir#"$top"/}"
    ninja -C "$dir" --quiet "$@" || die "the build in ${dir#"$top"/} failed (the compiler's messages stand above)."
}
