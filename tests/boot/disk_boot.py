#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots Debian's kernel with a disk, an entropy device and a fw_cfg file: what the guest reads is what the host has,
what it writes and syncs is on the host's disk afterwards. disk_boot.py EMULATOR [OPTIONS...]. Exit 77 where there is no
guest."""
import hashlib
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from isotools import guest  # noqa: E402

MODULES = ["virtio_mmio", "virtio_blk", "virtio-rng", "qemu_fw_cfg"]
SIZE, OFFSET, LENGTH = 8 << 20, 1 << 20, 4 << 20
SCRIPT = """md5sum /dev/vda | sed 's/^/@read /'
dd if=/dev/urandom of=/tmp/r bs=1M count=4 2>/dev/null
dd if=/tmp/r of=/dev/vda bs=64k seek=16 conv=fsync 2>/dev/null
echo 3 > /proc/sys/vm/drop_caches
md5sum < /tmp/r | sed 's/^/@wrote /'
dd if=/dev/vda bs=64k skip=16 count=64 2>/dev/null | md5sum | sed 's/^/@back /'
echo "@serial $(cat /sys/block/vda/serial)"
echo "@rng $(cat /sys/class/misc/hw_random/rng_current) $(head -c 16 /dev/hwrng | wc -c)"
echo "@fwcfg $(cat /sys/firmware/qemu_fw_cfg/by_name/opt/test/raw)"
echo "@errors $(dmesg | grep -cE 'I/O error|BUG:|WARNING:')"
"""


def md5(path, offset=0, length=-1):
    with open(path, "rb") as stream:
        stream.seek(offset)
        return hashlib.md5(stream.read(length)).hexdigest()


def boot(emulator, options, folder):
    disk, script, initrd = (os.path.join(folder, n) for n in ("disk", "run", "initrd"))
    with open(script, "w", encoding="utf-8") as stream:
        stream.write(SCRIPT)
    with open(disk, "wb") as stream:
        stream.write(os.urandom(SIZE))
    tool = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "guest-image")
    made = subprocess.run([tool, "--run", script, *[w for m in MODULES for w in ("--module", m)], "--output", initrd],
                          check=True, capture_output=True, text=True).stdout
    kernel = next(line.split(" ", 1)[1] for line in made.splitlines() if line.startswith("kernel "))
    before = md5(disk)
    done = subprocess.run(
        [emulator, "-M", "virt", "-cpu", "cortex-a72", "-m", "512", "-smp", "2", "-nographic", "-kernel", kernel,
         "-initrd", initrd, "-append", "console=ttyAMA0 quiet", "-drive", f"file={disk},if=none,format=raw,id=hd0",
         "-device", "virtio-blk-device,drive=hd0,serial=ABC", "-device", "virtio-rng-device",
         "-fw_cfg", "opt/test,string=hello", *options],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=200)
    said = dict(line[1:].strip().split(" ", 1) for line in done.stdout.splitlines() if line.startswith("@"))
    written = md5(disk, OFFSET, LENGTH)
    wanted = {"read": before, "wrote": written, "back": written, "serial": "ABC", "rng": "virtio_rng.0 16",
              "fwcfg": "hello", "errors": "0"}
    faults = [f"{k}: wanted '{v}', got '{said.get(k)}'" for k, v in wanted.items()
              if said.get(k, "").split("  ")[0] != v]
    if done.returncode:
        faults.append(f"exit status {done.returncode}")
    if faults:
        print(done.stdout[-3000:], done.stderr)
    return faults


def main():
    guest.for_test()
    with tempfile.TemporaryDirectory() as folder:
        faults = boot(sys.argv[1], sys.argv[2:], folder)
    print("\n".join(faults) or "the guest read, wrote and found what it should")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
