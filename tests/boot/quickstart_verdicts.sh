#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Tries tools/quickstart --check ($1) on emulators that print and return what they are told, and compares its exit
# status: only a verdict of 0 from an emulator that ended well is success.
set -u
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0
# try WANTED-STATUS CONSOLE-TEXT EMULATOR-STATUS
try() {
    local wanted=$1 text=$2 status=$3 got
    printf '#!/bin/sh\nprintf "%%b" "%s"\nexit %s\n' "$text" "$status" >"$dir/emulator"
    chmod +x "$dir/emulator"
    ISOMER=$dir/emulator "$quickstart" --check >"$dir/out" 2>&1
    got=$?
    [ "$got" = "$wanted" ] && return
    echo "console '$text', emulator status $status: quickstart ended with $got, wanted $wanted"
    failed=1
}
quickstart=$1
try 0 'ok machine\r\r\nISOMER-CHECK: 0\r\r\n' 0
try 3 'ISOMER-CHECK: 3\r\n' 0
try 1 'ISOMER-CHECK: 0\n' 1
try 1 'no verdict\n' 0
try 1 'echo ISOMER-CHECK: 0 typed\n' 0
exit $failed
