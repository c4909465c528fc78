#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots Debian's kernel with a virtio console: a terminal and a stream to sockets of ours, more bytes each way than
anything in between holds, and a test device that ends the run; beside it a balloon, which gives memory back to the
host, and input devices. ports_boot.py EMULATOR [OPTIONS...]. Exit 77 where
there is no guest."""
import hashlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from isotools import guest  # noqa: E402

LENGTH = 3 << 20
SCRIPT = """cd /sys/class/virtio-ports
until [ "$(cat */name 2>/dev/null | wc -l)" = 3 ]; do usleep 10000; done
for p in *; do echo "@port $(cat $p/name) $p"; eval "$(cat $p/name)=/dev/$p"; done
exec 5<>/dev/hvc0
stty raw -echo <&5
echo ready >&5
read line <&5; echo "@console $line"
echo "the guest heard: $line" >&5
head -c 100000000 /dev/zero > /tmp/z; rm /tmp/z
echo "@input $(grep -c 'Name="Virtio [KMT]' /proc/bus/input/devices)"
head -c %d /dev/urandom > /tmp/r
echo "@sent $(md5sum < /tmp/r)"
exec 6<>$stream
cat /tmp/r >&6
echo "@got $(head -c %d <&6 | md5sum)"
echo "@packed $(cut -c35 /sys/bus/virtio/devices/*/features | sort -u)"
echo "@errors $(dmesg | grep -cE 'virtio.*rror|BUG:|WARNING:')"
echo -n 7q > $test
sleep 20
""" % (LENGTH, LENGTH)


def connect(path, process):
    while process.poll() is None:
        client = socket.socket(socket.AF_UNIX)
        try:
            client.connect(path)
            return client
        except OSError:
            client.close()
            time.sleep(0.05)
    raise OSError(f"the emulator ended with status {process.returncode}")


def receive(client, enough):
    data = b""
    while not enough(data):
        part = client.recv(5000)
        if not part:
            break
        data += part
    return data


def resident(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as stream:
        return int(re.search(r"VmRSS:\s+(\d+)", stream.read()).group(1)) >> 10


def squeeze(monitor, process):
    """MiB that the emulator holds less after the balloon has grown to leave the guest 128 MiB: what of these the guest had
    touched, less what the emulator itself took meanwhile."""
    before, said = resident(process), ""
    receive(monitor, lambda data: data.endswith(b"(qemu) "))
    monitor.sendall(b"balloon 128\n")
    receive(monitor, lambda data: data.endswith(b"(qemu) "))
    deadline = time.monotonic() + 30
    while "actual=128" not in said and time.monotonic() < deadline:
        monitor.sendall(b"info balloon\n")
        said = receive(monitor, lambda data: data.endswith(b"(qemu) ")).decode()
        time.sleep(0.05)
    return before - resident(process) if "actual=128" in said else said


def boot(emulator, options, folder):
    initrd, log = os.path.join(folder, "initrd"), os.path.join(folder, "log")
    paths = [os.path.join(folder, n) for n in ("console", "stream", "monitor")]
    files = guest.for_test()
    guest.make_initrd(initrd, files, SCRIPT, modules=["virtio_mmio", "virtio_console", "virtio_balloon", "virtio_input"])
    ours = os.urandom(LENGTH)
    with open(log, "wb") as started, subprocess.Popen(
            [emulator, "-M", "virt", "-cpu", "cortex-a72", "-m", "256", "-nodefaults", "-nographic", "-serial", f"file:{log}",
             "-kernel", files.kernel, "-initrd", initrd, "-append", "console=ttyAMA0 quiet",
             "-chardev", f"socket,id=c,path={paths[0]},server=on,wait=off",
             "-chardev", f"socket,id=s,path={paths[1]},server=on,wait=off", "-chardev", "testdev,id=t",
             "-monitor", f"unix:{paths[2]},server=on,wait=off", "-device", "virtio-balloon-device",
             "-device", "virtio-keyboard-device", "-device", "virtio-mouse-device", "-device", "virtio-tablet-device",
             "-device", "virtio-serial-device,id=bus", "-device", "virtconsole,chardev=c,name=terminal",
             "-device", "virtserialport,chardev=s,name=stream,bus=bus.0",
             "-device", "virtserialport,chardev=t,name=test,nr=30", *options],
            stdin=subprocess.DEVNULL, stdout=started, stderr=started) as process:
        try:
            console, stream, monitor = (connect(path, process) for path in paths)
            for client in (console, stream, monitor):
                client.settimeout(120)
            ready = receive(console, lambda data: data.endswith(b"ready\n"))
            console.sendall(b"are you there\n")
            answer = receive(console, lambda data: data.endswith(b"there\n"))
            sender = threading.Thread(target=stream.sendall, args=(ours[:-1],), daemon=True)
            sender.start()
            theirs = receive(stream, lambda data: len(data) >= LENGTH)
            sender.join(30)
            squeezed = squeeze(monitor, process)
            stream.sendall(ours[-1:])  # the guest ends the run when it has everything, and that is not before we have
            status = process.wait(60)
        except OSError:
            with open(log, encoding="utf-8", errors="replace") as out:
                print(out.read()[-3000:])
            raise
        finally:
            process.kill()
    with open(log, encoding="utf-8", errors="replace") as out:
        text = out.read()
    said = dict(line[1:].strip().partition(" ")[::2] for line in text.splitlines() if line.startswith("@"))
    ports = sorted(line[6:].strip() for line in text.splitlines() if line.startswith("@port"))
    facts = {
        "ports": (["stream vport0p1", "terminal vport0p0", "test vport0p30"], ports),
        "console is ready": (b"ready\n", ready),
        "console heard": ("are you there", said.get("console")),
        "console said": (b"the guest heard: are you there\n", answer),
        "stream out": (said.get("sent"), hashlib.md5(theirs).hexdigest() + "  -"),
        "stream in": (hashlib.md5(ours).hexdigest() + "  -", said.get("got")),
        "squeezed": (True, isinstance(squeezed, int) and squeezed > 40 or squeezed), "input": ("3", said.get("input")),
        "packed": ("1", said.get("packed")), "errors": ("0", said.get("errors")), "status": (15, status)}
    faults = [f"{k}: wanted {w!r}, got {g!r}" for k, (w, g) in facts.items() if w != g]
    if faults:
        print(text[-3000:])
    return faults


def main():
    with tempfile.TemporaryDirectory() as folder:
        faults = boot(sys.argv[1], sys.argv[2:], folder)
    print("\n".join(faults) or "terminal, stream and test device did what they should")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
