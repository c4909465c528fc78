#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""savevm, loadvm, delvm and -loadvm with a qcow2 disk under a guest's file system: what the guest had in memory and on the
disk comes back together, twice, and in a new process; the image stays consistent by qemu-img's judgement.
snapshot_boot.py EMULATOR [OPTIONS...]. Exit 77 where there is no guest or no qemu-img."""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from isotools import guest  # noqa: E402
from isotools.console import Console, ConsoleError  # noqa: E402

PATIENCE = 60 * float(os.environ.get("ISOMER_PATIENCE", "1"))
# What is in memory and on the disk, by the guest's own reading past its cache.
LOOK = "echo $mark $(cat /tmp/note); echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/vda bs=512 count=1 2>/dev/null | head -n 1"


def mark(console, word):
    """Leaves the word in a shell variable, a file in memory and on the disk."""
    console.shell(f"mark={word}; echo {word} >/tmp/note; echo {word} | dd of=/dev/vda conv=sync,fsync 2>/dev/null",
                  guest.PROMPT, PATIENCE)


def expect(console, word):
    said, _ = console.shell(LOOK, guest.PROMPT, PATIENCE)
    if said.split() != [word] * 3:
        raise ConsoleError(f"memory and disk hold '{said}', wanted '{word}' three times")


def monitor(console, command, wanted=""):
    """Without wanted, an answer that is no complaint: the end of what the guest's shell asks its terminal may stand in it."""
    said = console.monitor(command, PATIENCE)
    if not re.search(wanted, said) or (not wanted and re.search("Error|unknown command", said)):
        raise ConsoleError(f"'{command}' answered '{said}', wanted '{wanted}'")


def first_run(console):
    console.expect(re.escape(guest.PROMPT), PATIENCE)
    mark(console, "first")
    monitor(console, "info snapshots", "There is no snapshot available")
    monitor(console, "savevm one")
    expect(console, "first")
    mark(console, "second")
    monitor(console, "savevm two")
    mark(console, "third")
    monitor(console, "loadvm one")
    expect(console, "first")
    monitor(console, "loadvm two")
    expect(console, "second")
    mark(console, "fourth")
    monitor(console, "savevm one")  # takes the place of the old one
    monitor(console, "delvm two")
    monitor(console, "loadvm two", "Error: there is no snapshot 'two'")
    monitor(console, "info snapshots", r"(?s)TAG.*one (?!.*two)")
    mark(console, "fifth")
    console.send("\x01x")
    console.wait(PATIENCE)


def second_run(console):
    console.send("\r")
    console.expect(re.escape(guest.PROMPT), PATIENCE)
    expect(console, "fourth")
    said, _ = console.shell("dmesg | grep -cE 'I/O error|BUG:|WARNING:'", guest.PROMPT, PATIENCE)
    if said != "0":
        raise ConsoleError("the kernel complained")
    console.send("poweroff\r")
    if console.wait(PATIENCE):
        raise ConsoleError("the restored machine did not end well")


def qemu_img(*words):
    return subprocess.run(["qemu-img", *words], check=True, capture_output=True, text=True).stdout


def run(folder, emulator, options, files):
    disk, initrd = os.path.join(folder, "disk.qcow2"), os.path.join(folder, "initrd")
    qemu_img("create", "-f", "qcow2", disk, "64M")
    guest.make_initrd(initrd, files, modules=["virtio_mmio", "virtio_blk"])
    command = [emulator, "-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "256", "-nographic", "-kernel", files.kernel,
               "-initrd", initrd, "-append", "console=ttyAMA0 quiet nokaslr",
               "-drive", f"file={disk},format=qcow2,if=virtio,id=hd0", *options]
    for step, more in ((first_run, []), (second_run, ["-loadvm", "one"])):
        with Console(command + more) as console:
            step(console)
        qemu_img("check", disk)
    if " one " not in qemu_img("snapshot", "-l", disk):
        raise ConsoleError("qemu-img does not see the snapshot")


def main():
    files = guest.for_test(programs=["qemu-img"])
    with tempfile.TemporaryDirectory() as folder:
        try:
            run(folder, sys.argv[1], sys.argv[2:], files)
        except (ConsoleError, subprocess.CalledProcessError) as err:
            print(err, getattr(err, "stderr", None) or "")
            return 1
    print("memory and disk came back together")
    return 0


if __name__ == "__main__":
    sys.exit(main())
