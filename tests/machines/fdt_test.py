#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares virt's device trees, decompiled by dtc, with those in golden/: fdt_test.py PROGRAM FOLDER [--write].
Where qemu-system-aarch64 is installed, every node that both boards have must also have QEMU's reg and interrupts."""
import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile

CASES = {
    "gicv2.dts": ["-M", "virt,gic-version=2,dtb-randomness=off", "-cpu", "cortex-a72", "-smp", "2", "-m", "512",
                  "-append", "console=ttyAMA0"],
    "gicv3.dts": ["-M", "virt,gic-version=3,dtb-randomness=off", "-cpu", "max", "-smp", "18", "-m", "8G"],
}


def tree(program, args):
    with tempfile.NamedTemporaryFile() as out:
        words = [program, *args, "-M", args[1] + ",dumpdtb=" + out.name, "-nographic"]
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
        return subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "dts", out.name], check=True, capture_output=True,
                              text=True).stdout


def places(text):
    """{node name: (reg, interrupts)} of the root's children."""
    found = {}
    for name, body in re.findall(r"^\t(\S+@\S+) \{\n(.*?)^\t\};", text, re.M | re.S):
        found[name] = tuple(sorted(re.findall(r"^\t\t((?:reg|interrupts) = .*)$", body, re.M)))
    return found


def pci(text):
    """The PCI node's and the MSI controller's properties, with the names of other nodes for their phandles."""
    names = re.findall(r"^\t+(\S+) \{\n(?:\t+[^\t{}]*;\n|\n)*?\t+phandle = <(\w+)>;", text, re.M)
    found = []
    for node in ("pcie", "v2m"):
        body = re.search(node + r"@\w+ \{\n(.*?)\n\t+\};", text, re.S)
        lines = sorted(line.strip() for line in body.group(1).splitlines())
        for name, phandle in names:
            lines = [line.replace(phandle, name) for line in lines]
        found += lines
    return found


def against_qemu(text):
    qemu = shutil.which("qemu-system-aarch64")
    if not qemu:
        return []
    args = CASES["gicv2.dts"][:-2]
    args[1] = "virt,gic-version=2"
    peer = tree(qemu, args)
    ours, theirs = places(text), places(peer)
    return [f"{n}: {ours[n]}, QEMU has {theirs.get(n)}" for n in ours if ours[n] != theirs.get(n)] + [
        f"only one of us has {line}" for line in set(pci(text)) ^ set(pci(peer))]


def main():
    program, folder = sys.argv[1:3]
    wrong = 0
    for name, args in CASES.items():
        text, path = tree(program, args), os.path.join(folder, name)
        if "--write" in sys.argv:
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(text)
        with open(path, encoding="utf-8") as stream:
            golden = stream.read()
        if text != golden:
            wrong += 1
            sys.stdout.writelines(difflib.unified_diff(golden.splitlines(1), text.splitlines(1), name, "now"))
        if name == "gicv2.dts":
            for line in against_qemu(text):
                wrong += 1
                print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
