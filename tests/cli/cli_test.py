#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the command lines of cases.txt: cli_test.py PROGRAM CASES. The program may be one without a real accelerator,
since every case ends before a guest instruction would run."""
import gzip
import os
import re
import shlex
import struct
import subprocess
import sys
import tempfile


def environment(words):
    """What a sanitizer calls at its end to look for leaks is denied in the sandbox."""
    options = os.environ.get("ASAN_OPTIONS", "")
    return {**os.environ, "ASAN_OPTIONS": options + ":detect_leaks=0"} if "-sandbox" in words else None


def elf(machine=183, paddr=0x40100000, filesz=16, memsz=16, phnum=1, extra=b"\0" * 16, second=None):
    segments = [(paddr, filesz, memsz)] + ([second] if second else [])
    phnum = len(segments) if phnum else 0
    data = b"\x7fELF\x02\x01\x01" + b"\0" * 9
    data += struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, paddr, 64, 0, 0, 64, 56, phnum, 0, 0, 0)
    for addr, fsize, msize in segments:
        data += struct.pack("<IIQQQQQQ", 1, 5, 64 + 56 * len(segments), addr, addr, fsize, msize, 4096)
    return data + extra


def image(size=4096, image_size=0x10000, flags=0xa):
    head = struct.pack("<IIQQQ", 0x91005A4D, 0, 0, image_size, flags) + b"\0" * 24 + b"ARM\x64" + b"\0" * 4
    return head + b"\0" * (size - len(head))


def zboot(method, offset=64, size=16):
    return b"MZ\0\0zimg" + struct.pack("<II", offset, size) + b"\0" * 8 + method.ljust(32, b"\0") + b"\0" * 24


def recipes():
    packed = gzip.compress(image())
    return {
        "empty": b"", "text": b"hello\n", "mega2": b"\0" * (2 << 20), "mega65": b"\0" * (65 << 20),
        "bzimage": b"\0" * 0x202 + b"HdrS" + b"\0" * 100, "zimage": b"\0" * 0x24 + b"\x18\x28\x6f\x01" + b"\0" * 100,
        "elf_x86": elf(machine=62), "elf_arm": elf(machine=40), "elf_magic": b"\x7fELF", "elf_short": elf()[:40],
        "elf_cut": elf(extra=b""), "elf_none": elf(phnum=0), "elf_fat": elf(memsz=8),
        "elf_wrap": elf(paddr=0xffffffffffffff00, memsz=0x1000), "elf_low": elf(paddr=0x1000),
        "elf_twice": elf(second=(0x40100008, 16, 16)),
        "gz_cut": packed[:-20], "gz_bad": packed[:12] + b"\xff" * 20, "gz_text": gzip.compress(b"hello\n"),
        "gz_bomb": gzip.compress(b"\0" * (64 << 20), 1), "zboot_zstd": zboot(b"zstd"),
        "zboot_cut": zboot(b"gzip", size=4096), "image_be": image(flags=1), "image": image(),
        "image_big": image(image_size=32 << 20), "qcow2": b"QFI\xfb" + b"\0" * 508, "cpio": b"070701" + b"0" * 104,
    }


def read_cases(path):
    args = None
    with open(path, encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            line = line.rstrip("\n")
            if line.startswith(">"):
                args = line[1:].strip()
            elif line and not line.startswith("#"):
                status, _, text = line.partition(" ")
                yield number, args, int(status), text


def check(program, folder, args, status, text):
    names = {n: os.path.join(folder, n) for n in os.listdir(folder)}
    names["out"] = os.path.join(folder, "out")
    fill = lambda s: re.sub(r"\{(\w+)\}", lambda m: names[m.group(1)], s)  # noqa: E731
    words = shlex.split(fill(args))
    if "-serial" not in words and words[:1] not in (["run"], ["demo"], ["img"]):
        words = ["-serial", "none", *words]
    try:
        done = subprocess.run([program, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10,
                              env=environment(words))
    except subprocess.TimeoutExpired:
        return "it runs"
    output = done.stdout + done.stderr
    if "{out}" in args and done.returncode == 0:
        output += subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "dts", names["out"]], capture_output=True, text=True,
                                 check=True).stdout
        output = output.replace("\t", "")
    text = fill(text)
    if done.returncode != status:
        return f"exit status {done.returncode}: {output[:300]}"
    if status and not (output.count("\n") == 1 and output.startswith(text)):
        return f"said: {output[:300]}"
    if not status and text and text not in output.splitlines():
        return f"lacks the line; said: {output[:300]}"
    return None


def main():
    program, cases = sys.argv[1:]
    failed = count = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, data in recipes().items():
            with open(os.path.join(folder, name), "wb") as stream:
                stream.write(data)
        for number, args, status, text in read_cases(cases):
            count += 1
            wrong = check(program, folder, args, status, text)
            if wrong:
                failed += 1
                print(f"{cases}:{number}: {args}\n  wanted {status} {text}\n  {wrong}")
    print(f"{count} command lines, {failed} wrong")
    return 1 if failed or not count else 0


if __name__ == "__main__":
    sys.exit(main())
