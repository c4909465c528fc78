# SPDX-License-Identifier: MIT
"""The session of tools/bench that measures disks and networks: a machine with virtio disks and a network card on PCI
works with Debian's fio and iperf3 (tests/bench/devices/).

Disks are made anew for every boot, the same each time, in memory where there is room, so that what is timed is the emulator
and not the host's disk: `raw`, full of bytes that are no zeros, `full`, the same as qcow2, and `empty`, a qcow2 image with
nothing in it. iperf3's server runs on the host for as long as the session is in use."""
import os
import shutil
import socket
import subprocess
import tempfile

from isotools import benchguest, benchstats, guest, programs
from isotools.debian import Failure

MEBIBYTES = 256
ROOM = 6 * MEBIBYTES << 20
MODULES = ("virtio_pci", "virtio_blk", "virtio_net")
SETUP = """
for i in 1 2 3 4 5 6 7 8 9 10; do grep -q . /sys/block/vd*/serial 2>/dev/null && break; sleep 0.2; done
mkdir -p /mnt
for b in /sys/block/vd*; do
  [ "$(cat $b/serial)" = programs ] && mount -t ext4 -o ro /dev/${b##*/} /mnt
done
mount -t proc proc /mnt/proc
mount -t sysfs sys /mnt/sys
mount -t devtmpfs dev /mnt/dev
mount -t tmpfs tmp /mnt/tmp
ip link set lo up
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
echo %d >/mnt/tmp/port
find /mnt/bin /mnt/lib /mnt/usr /mnt/bench -xdev -type f -exec cat {} + >/dev/null
"""


def _need(program, package):
    path = shutil.which(program)
    if not path:
        raise Failure(f"{program} is missing, which the rows of disks and networks need; install Debian's {package}.")
    return path


def _scratch_folder():
    shared = "/dev/shm"
    roomy = os.path.isdir(shared) and shutil.disk_usage(shared).free > ROOM
    return tempfile.mkdtemp(prefix="isomer-bench-", dir=shared if roomy else os.path.join(guest.cache_dir(), "bench"))


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class DeviceSession(benchguest.Session):
    program_disk, modules = programs.DEVICES, MODULES

    def __init__(self, rows):
        super().__init__("devices", 1, rows)
        self.port, self.folder, self.server = _free_port(), None, None

    def setup(self):
        return SETUP % self.port

    def open(self):
        """Makes the templates of the disks and starts the server; close() undoes it."""
        qemu_img = _need("qemu-img", "qemu-utils")
        iperf3 = _need("iperf3", "iperf3") if any(row in benchstats.GROUPS["net"] for row in self.rows) else None
        self.folder = _scratch_folder()
        piece = bytes(range(1, 256)) * 4112 + bytes(16)  # 1 MiB
        with open(self._path("raw.template"), "wb") as stream:
            for number in range(MEBIBYTES):
                stream.write(number.to_bytes(8, "big") + piece[8:1 << 20])
        commands = (["convert", "-O", "qcow2", self._path("raw.template"), self._path("full.template")],
                    ["create", "-q", "-f", "qcow2", self._path("empty.template"), f"{MEBIBYTES}M"])
        for command in commands:
            subprocess.run([qemu_img, *command], check=True)
        if iperf3:
            self.server = subprocess.Popen([iperf3, "-s", "-B", "127.0.0.1", "-p", str(self.port)], stdout=subprocess.DEVNULL)

    def before_boot(self):
        for name in ("raw", "full", "empty"):
            shutil.copyfile(self._path(name + ".template"), self._path(name))

    def close(self):
        if self.server:
            self.server.kill()
            self.server.wait()
        if self.folder:
            shutil.rmtree(self.folder)

    def _path(self, name):
        return os.path.join(self.folder, name)

    def devices(self):
        words = ["-nodefaults", "-serial", "mon:stdio", "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net",
                 "-drive", f"file={self.image},if=none,format=raw,readonly=on,id=programs",
                 "-device", "virtio-blk-pci,drive=programs,serial=programs"]
        for name, kind in (("raw", "raw"), ("full", "qcow2"), ("empty", "qcow2")):
            words += ["-drive", f"file={self._path(name)},if=none,format={kind},id={name}",
                      "-device", f"virtio-blk-pci,drive={name},serial={name}"]
        return words
