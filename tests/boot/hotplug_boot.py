#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plugs a disk into a PCI port while Debian's kernel runs, lets it be read, asks for it back and plugs it in again.
hotplug_boot.py EMULATOR [OPTIONS...]. Exit 77 where there is no guest."""
import hashlib
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from isotools import guest  # noqa: E402

SIZE, TIMEOUT = 1 << 20, 120
SCRIPT = """echo "@ready $(ls /sys/bus/pci/devices | wc -l)"
for round in 1 2; do
    until [ -b /dev/vda ]; do sleep 0.1; done
    echo "@there $(md5sum < /dev/vda | sed 's/ .*//')"
    while [ -b /dev/vda ]; do sleep 0.1; done
    for wait in $(seq 100); do [ $(ls /sys/bus/pci/devices | wc -l) = 2 ] && break; sleep 0.1; done  # the function goes after its disk
    echo "@gone $(ls /sys/bus/pci/devices | wc -l)"
done
echo "@errors $(dmesg | grep -cE 'I/O error|BUG:|WARNING:|Link Down|surprise')"
"""
ADD, DEL = "device_add virtio-blk-pci,drive=hd0,bus=rp1,id=disk1", "device_del disk1"


class Monitor:
    """The human monitor behind a socket."""
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.settimeout(10)
        self.answer()

    def answer(self):
        text = ""
        while not text.endswith("(qemu) "):
            text += self.socket.recv(65536).decode()
        return text

    def ask(self, command):
        self.socket.sendall((command + "\n").encode())
        return self.answer()

    def until_done(self, command, deadline):
        """The guest powers the slot off only after its driver has let go: until then the disk is taken."""
        while "Error" in self.ask(command) and time.monotonic() < deadline:
            time.sleep(0.1)


def talk(emulator, path, steps, faults):
    """Waits for each line in turn and says what follows it to the monitor."""
    deadline, text, monitor = time.monotonic() + TIMEOUT, "", None
    selector = selectors.DefaultSelector()
    selector.register(emulator.stdout, selectors.EVENT_READ)
    while steps and time.monotonic() < deadline:
        if not selector.select(1):
            continue
        data = os.read(emulator.stdout.fileno(), 65536)
        if not data:
            break
        text += data.decode(errors="replace")
        while steps and steps[0][0] in text:
            text = text.split(steps[0][0], 1)[1]
            command = steps.pop(0)[1]
            monitor = monitor or Monitor(path)
            if command:
                monitor.until_done(command, deadline)
    if steps:
        faults.append(f"waited in vain for '{steps[0][0]}':\n{text[-3000:]}")


def main():
    files, faults = guest.for_test(), []
    with tempfile.TemporaryDirectory() as folder:
        disk, initrd, monitor = (os.path.join(folder, n) for n in ("disk", "initrd", "monitor"))
        content = os.urandom(SIZE)
        with open(disk, "wb") as stream:
            stream.write(content)
        guest.make_initrd(initrd, files, SCRIPT, modules=["virtio_pci", "virtio_blk"])
        there = f"@there {hashlib.md5(content).hexdigest()}"
        steps = [("@ready 2", ADD), (there, DEL), ("@gone 2", ADD), (there, DEL), ("@gone 2", None), ("@errors 0", None)]
        with subprocess.Popen(
                [sys.argv[1], "-M", "virt", "-cpu", "cortex-a72", "-m", "256", "-nodefaults", "-display", "none",
                 "-serial", "stdio", "-monitor", f"unix:{monitor},server,nowait", "-kernel", files.kernel, "-initrd",
                 initrd, "-append", "console=ttyAMA0 quiet nosoftlockup", "-drive", f"file={disk},if=none,format=raw,id=hd0",
                 "-device", "pcie-root-port,id=rp1,slot=1", *sys.argv[2:]],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as emulator:
            talk(emulator, monitor, steps, faults)
            if faults:
                emulator.kill()
            elif emulator.wait(30):
                faults.append(f"exit status {emulator.returncode}")
    print("\n".join(faults) or "the disk came, went, and came again")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
