#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots Debian's kernel with disks, an entropy device and a fw_cfg file: what the guest reads is what the host has,
what it writes and syncs is on the host's disk afterwards. One disk is raw, one a qcow2 image over a backing file, which
qemu-img judges afterwards, and one a raw file whose writes are thrown away. disk_boot.py EMULATOR [OPTIONS...]. Exit 77
where there is no guest."""
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from isotools import guest  # noqa: E402

MODULES = ["virtio_mmio", "virtio_blk", "virtio-rng", "qemu_fw_cfg"]
SIZE, OFFSET, LENGTH = 8 << 20, 1 << 20, 4 << 20
DISKS = ("RAW", "QCOW2", "THROWN")
SCRIPT = """dd if=/dev/urandom of=/tmp/r bs=1M count=4 2>/dev/null
md5sum < /tmp/r | sed 's/^/@wrote /'
for sys in /sys/block/vd*; do
    name=$(cat $sys/serial) disk=/dev/${sys##*/}
    md5sum $disk | sed "s/^/@read-$name /"
    dd if=/tmp/r of=$disk bs=64k seek=16 conv=fsync 2>/dev/null
    echo 3 > /proc/sys/vm/drop_caches
    dd if=$disk bs=64k skip=16 count=64 2>/dev/null | md5sum | sed "s/^/@back-$name /"
    echo "@queues-$name $(ls $sys/mq | wc -l) $(( $(cat $sys/queue/discard_max_bytes) > 0 ))"
    [ $name = QCOW2 ] && blkdiscard -o 6291456 -l 1048576 $disk
done
sync
echo "@rng $(cat /sys/class/misc/hw_random/rng_current) $(head -c 16 /dev/hwrng | wc -c)"
echo "@fwcfg $(cat /sys/firmware/qemu_fw_cfg/by_name/opt/test/raw)"
echo "@errors $(dmesg | grep -cE 'I/O error|BUG:|WARNING:')"
"""


def md5(path, offset=0, length=-1):
    with open(path, "rb") as stream:
        stream.seek(offset)
        return hashlib.md5(stream.read(length)).hexdigest()


def judge(disk, base, image, before, folder):
    """What the disks hold after the guest is gone."""
    faults = [] if md5(base) == before else ["writes to the disk with snapshot=on reached the file"]
    if not shutil.which("qemu-img"):
        return faults
    check = subprocess.run(["qemu-img", "check", image], capture_output=True, text=True, check=False)
    if check.returncode:
        faults.append(f"qemu-img check: {check.stdout}{check.stderr}")
    wanted, flat = os.path.join(folder, "wanted"), os.path.join(folder, "flat")
    shutil.copy(disk, wanted)
    with open(wanted, "r+b") as stream:  # but for what was discarded
        stream.seek(6 << 20)
        stream.write(bytes(1 << 20))
    subprocess.run(["qemu-img", "convert", "-O", "raw", image, flat], check=True)
    if md5(flat) != md5(wanted):
        faults.append("the qcow2 image holds something else")
    return faults


def boot(emulator, options, folder):
    disk, base, image, script, initrd = (os.path.join(folder, n) for n in ("disk", "base", "image", "run", "initrd"))
    with open(script, "w", encoding="utf-8") as stream:
        stream.write(SCRIPT)
    with open(disk, "wb") as stream:
        stream.write(os.urandom(SIZE))
    shutil.copy(disk, base)
    subprocess.run([emulator, "img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", image], check=True)
    tool = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "guest-image")
    made = subprocess.run([tool, "--run", script, *[w for m in MODULES for w in ("--module", m)], "--output", initrd],
                          check=True, capture_output=True, text=True).stdout
    kernel = next(line.split(" ", 1)[1] for line in made.splitlines() if line.startswith("kernel "))
    before = md5(disk)
    done = subprocess.run(
        [emulator, "-M", "virt", "-cpu", "cortex-a72", "-m", "512", "-smp", "2", "-nographic", "-kernel", kernel,
         "-initrd", initrd, "-append", "console=ttyAMA0 quiet", "-drive", f"file={disk},if=none,format=raw,id=hd0,cache=none",
         "-device", "virtio-blk-device,drive=hd0,serial=RAW",
         "-drive", f"file={image},if=none,format=qcow2,id=hd1,discard=unmap",
         "-device", "virtio-blk-device,drive=hd1,serial=QCOW2,num-queues=2",
         "-drive", f"file={base},if=none,format=raw,id=hd2,snapshot=on",
         "-device", "virtio-blk-device,drive=hd2,serial=THROWN", "-device", "virtio-rng-device",
         "-fw_cfg", "opt/test,string=hello", *options],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=200)
    said = dict(line[1:].strip().split(" ", 1) for line in done.stdout.splitlines() if line.startswith("@"))
    written = md5(disk, OFFSET, LENGTH)
    wanted = {"wrote": written, "rng": "virtio_rng.0 16", "fwcfg": "hello", "errors": "0", "queues-RAW": "1 0",
              "queues-QCOW2": "2 1", "queues-THROWN": "1 1"}
    wanted.update({f"read-{name}": before for name in DISKS}, **{f"back-{name}": written for name in DISKS})
    faults = [f"{k}: wanted '{v}', got '{said.get(k)}'" for k, v in wanted.items()
              if said.get(k, "").split("  ")[0] != v]
    if done.returncode:
        faults.append(f"exit status {done.returncode}")
    faults += judge(disk, base, image, before, folder)
    if faults:
        print(done.stdout[-3000:], done.stderr)
    return faults


def main():
    guest.for_test()
    guest.expect_sandbox(sys.argv[2:])
    with tempfile.TemporaryDirectory() as folder:
        faults = boot(sys.argv[1], sys.argv[2:], folder)
    print("\n".join(faults) or "the guest read, wrote and found what it should")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
