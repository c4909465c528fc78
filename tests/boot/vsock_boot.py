#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Sockets between guest and host: Debian's kernel connects to a Unix socket of ours and the other way round, megabytes each
way, half-closes and refusals. vsock_boot.py EMULATOR COMPILER [OPTIONS...]. Exit 77 where there is no guest or compiler."""
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from isotools import guest  # noqa: E402

LENGTH, TIMEOUT = 3 << 20, 150
SCRIPT = """vsock send 71 10
vsock send 70 %d
vsock serve 90
echo "@errors $(dmesg | grep -cE 'vsock.*rror|BUG:|WARNING:')"
""" % LENGTH


def listen(path):
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(1)
    server.settimeout(TIMEOUT)
    return server


def take_all(client):
    data = b""
    while part := client.recv(1 << 16):
        data += part
    return data


def ask(path, port):
    """A connection to the guest's port and the first line that comes by it."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(TIMEOUT)
    client.connect(path)
    client.sendall(f"CONNECT {port}\n".encode())
    line = b""
    while not line.endswith(b"\n") and (byte := client.recv(1)):
        line += byte
    return client, line


def boot(emulator, program, options, folder):
    path, initrd, ours = os.path.join(folder, "v"), os.path.join(folder, "initrd"), os.urandom(LENGTH)
    files = guest.for_test("generic")
    with open(program, "rb") as stream:
        extra = [("bin/vsock", stream.read(), 0o755)]
    guest.make_initrd(initrd, files, SCRIPT, extra=extra, modules=["virtio_mmio", "virtio_pci", "vmw_vsock_virtio_transport"])
    said = {}
    with listen(f"{path}_70") as server, subprocess.Popen(
            [emulator, "-M", "virt", "-cpu", "cortex-a72", "-m", "512", "-nographic", "-nic", "none", "-kernel", files.kernel,
             "-initrd", initrd, "-append", "console=ttyAMA0 quiet", "-device", f"vhost-vsock-pci,guest-cid=42,socket={path}", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace") as process:
        try:
            client, _ = server.accept()
            client.settimeout(TIMEOUT)
            sent = take_all(client)
            client.sendall(ours)
            client.close()
            for line in process.stdout:
                if line.startswith("@"):
                    what, _, value = line[1:].strip().partition(" ")
                    said[what] = value
                if line.startswith("@serving"):
                    said["nobody"] = ask(path, 91)[1]
                    client, said["greeting"] = ask(path, 90)
                    client.sendall(ours)
                    client.shutdown(socket.SHUT_WR)
                    said["back"] = zlib.crc32(take_all(client))
            said["status"] = process.wait(30)
        finally:
            process.kill()
    wanted = {"refused": "Connection reset by peer", "sent": f"{zlib.crc32(sent):08x}", "got": f"{zlib.crc32(ours):08x}",
              "nobody": b"", "served": f"{zlib.crc32(ours):08x}", "back": zlib.crc32(ours), "errors": "0", "status": 0}
    faults = [f"{k}: wanted {v!r}, got {said.get(k)!r}" for k, v in wanted.items() if said.get(k) != v]
    if not said.get("greeting", b"").startswith(b"OK "):
        faults.append(f"the guest's port answers {said.get('greeting')!r}")
    if os.path.exists(path):
        faults.append("the socket is still there")
    return faults


def main():
    if not shutil.which(sys.argv[2]):
        print(f"skip: there is no {sys.argv[2]}")
        sys.exit(77)
    guest.expect_sandbox(sys.argv[3:])
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "program")
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vsock_guest.c")
        subprocess.run([sys.argv[2], "-O2", "-static", "-o", program, source], check=True)
        faults = boot(sys.argv[1], program, sys.argv[3:], folder)
    print("\n".join(faults) or "guest and host have met by their sockets")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
