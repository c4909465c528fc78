#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots Debian's kernel with a disk and an entropy device on PCI: what Linux enumerates, which interrupts it uses, what
it reads and writes. pci_boot.py EMULATOR GIC [INTERRUPTS [OPTIONS...]], GIC the value of gic-version= and more of
-M's options, INTERRUPTS a pattern for the disk's line of /proc/interrupts. Exit 77 where there is no guest."""
import hashlib
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from isotools import guest  # noqa: E402

MODULES = ["virtio_pci", "virtio_blk", "virtio-rng"]
SIZE = 4 << 20
SCRIPT = """for d in /sys/bus/pci/devices/*; do
    echo "@pci ${d##*/} $(cat $d/vendor) $(cat $d/device) $(cat $d/class)"
done
md5sum < /dev/vda | sed 's/ .*//; s/^/@read /'
dd if=/dev/urandom of=/tmp/r bs=64k count=16 2>/dev/null
dd if=/tmp/r of=/dev/vda bs=64k seek=16 conv=fsync 2>/dev/null
md5sum < /tmp/r | sed 's/ .*//; s/^/@wrote /'
echo "@rng $(head -c 16 /dev/hwrng | wc -c)"
grep -E 'virtio|MSI' /proc/interrupts | sed 's/^/@irq /'
echo "@errors $(dmesg | grep -cE 'I/O error|BUG:|WARNING:|nobody cared|no compatible bridge window|failed to assign')"
"""
DEVICES = ["0000:00:00.0 0x1b36 0x0008 0x060000", "0000:00:03.0 0x1af4 0x1042 0x010000",
           "0000:00:01.0 0x1af4 0x1044 0x00ff00"]


def md5(path, offset=0, length=-1):
    with open(path, "rb") as stream:
        stream.seek(offset)
        return hashlib.md5(stream.read(length)).hexdigest()


def boot(emulator, gic, interrupts, options, folder):
    disk, initrd = os.path.join(folder, "disk"), os.path.join(folder, "initrd")
    with open(disk, "wb") as stream:
        stream.write(os.urandom(SIZE))
    files = guest.for_test()
    guest.make_initrd(initrd, files, SCRIPT, modules=MODULES)
    before = md5(disk)
    done = subprocess.run(
        [emulator, "-M", f"virt,gic-version={gic}", "-cpu", "cortex-a72", "-m", "512", "-nographic", "-kernel",
         files.kernel, "-initrd", initrd, "-append", "console=ttyAMA0 quiet nosoftlockup", "-nodefaults", "-serial", "stdio",
         "-drive", f"file={disk},if=none,format=raw,id=hd0",
         "-device", "virtio-blk-pci,drive=hd0,addr=3,bus=pcie.0,disable-legacy=on",
         "-device", "virtio-rng-pci,disable-legacy=on,disable-modern=off", *options],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=200)
    said = [line[1:].strip() for line in done.stdout.splitlines() if line.startswith("@")]
    wanted = [f"pci {d}" for d in DEVICES] + [f"read {before}", f"wrote {md5(disk, 1 << 20, 1 << 20)}", "rng 16", "errors 0"]
    faults = [f"wanted '{line}'" for line in wanted if line not in said]
    lines = [line for line in said if line.startswith("irq ")]
    # Taken, and not once a timer tick either.
    if not any(re.search(interrupts, line) and 10 < int(line.split()[2]) < 5000 for line in lines):
        faults.append(f"no interrupts like '{interrupts}'")
    if done.returncode:
        faults.append(f"exit status {done.returncode}")
    if faults:
        print("\n".join(said), done.stdout[-3000:], done.stderr)
    return faults


def main():
    emulator, gic, *rest = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        faults = boot(emulator, gic, rest[0] if rest else r"MSI \d+ Edge +virtio\d-req", rest[1:], folder)
    print("\n".join(faults) or "the guest enumerated, read and wrote what it should")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
