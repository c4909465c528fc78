#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Drives whole machines by the command lines and sockets that tools use, as literally as this emulator has the devices:
what it does not list (-device help, -netdev help, -h) is left out and named. tools_boot.py EMULATOR [TOOL...]; exit 77
where there is no guest."""
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile

from tool_machine import PATIENCE, USERSPACE, Emulator, Failed, Serial, guest
from qmp_client import Qmp, QmpError, connect


class Tools(Emulator):
    """The methods named run_TOOL each play one."""
    def run_probes(self):
        """What is asked before a machine is started."""
        for words, wanted in [(["--version"], r"version \d+\.\d+\.\d+"), (["-M", "help"], r"(?m)^virt +.*ARM Virtual Machine"),
                              (["-machine", "?"], "ARM Virtual Machine"), (["-machine", "virt,?"], "gic-version"),
                              (["-cpu", "help"], r"(?m)^ +max"), (["-accel", "help"], r"(?m)^tcg\b"),
                              (["-M", "none", "-accel", "help"], r"(?m)^tcg\b"), (["-device", "?"], "virtio-rng-device"),
                              (["-device", "virtio-blk-device,help"], "drive=<"), (["-chardev", "?"], "socket"),
                              (["-netdev", "help"], "Available netdev")]:
            text = self.answer(*words)
            if not re.search(wanted, text):
                raise Failed(f"{' '.join(words)} answers {text}")
        link = self.path("qemu-system-aarch64")
        os.symlink(os.path.abspath(shutil.which(self.emulator)), link)
        text = subprocess.run([link, "--version"], capture_output=True, text=True, timeout=10).stdout
        if not re.match(r"QEMU emulator version \d+\.\d+\.\d+ \(Isomer ", text):
            raise Failed(f"as qemu-system-aarch64, --version says {text}")

    def run_kunit(self):
        """Linux's kunit.py: the guest's reboot is the end."""
        initrd = self.path("reboots")
        guest.make_initrd(initrd, self.files, run="cat /proc/cmdline; reboot -f\n")
        words = ["-nodefaults", "-m", "1024", "-kernel", self.files.kernel, "-append",
                 "console=ttyAMA0 kunit.enable=1 kunit_shutdown=reboot", "-no-reboot", "-nographic", "-serial", "stdio",
                 "-machine", "virt", "-cpu", "max,pauth-impdef=on", "-initrd", initrd]
        done = subprocess.run([self.emulator, *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)
        if done.returncode or b"kunit_shutdown=reboot" not in done.stdout:
            raise Failed(f"status {done.returncode}: {done.stdout[-500:]} {done.stderr}")

    def run_labgrid(self):
        """QMP on standard input and output, the serial line on a socket that the tool serves."""
        server = socket.socket(socket.AF_UNIX)
        server.bind(self.path("serial"))
        server.listen(1)
        server.settimeout(20)
        with self.running(["-S", "-qmp", "stdio", "-machine", "virt", "-cpu", "cortex-a72", "-m", "256", *self.boot(),
                           "-nographic", "-chardev", f"socket,id=serialsocket,path={self.path('serial')}", "-serial",
                           "chardev:serialsocket", "-sandbox", "on"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            serial = Serial(server.accept()[0])
            qmp = Qmp(process.stdout, process.stdin)
            if qmp.command("query-status")["status"] != "prelaunch" or serial.data:
                raise Failed("it did not wait for cont")
            qmp.command("cont")
            serial.expect(USERSPACE)
            qmp.command("stop")
            qmp.command("system_reset")
            qmp.event("STOP")
            if qmp.event("RESET") != {"guest": False, "reason": "host-qmp-system-reset"}:
                raise Failed("the reset has another reason")
            qmp.command("cont")
            serial.expect(b"Booting Linux")
            qmp.command("quit")
            qmp.event("SHUTDOWN")
            self.finish(process)

    def run_syzkaller(self):
        """A monitor on a TCP port, the serial line on standard output, many devices."""
        with socket.socket() as probe:
            probe.bind(("localhost", 0))
            port = probe.getsockname()[1]
        with self.running(["-m", "512", "-smp", "2", "-chardev",
                           f"socket,id=SOCKSYZ,server=on,wait=off,host=localhost,port={port}", "-mon",
                           "chardev=SOCKSYZ,mode=control", "-display", "none", "-serial", "stdio", "-no-reboot", "-name",
                           "VM-0", "-device", "virtio-rng-pci", "-machine", "virt,gic-version=max",
                           "-cpu", "max,sve=off", "-accel", "tcg", "-device", "virtio-net-pci,netdev=net0", "-netdev",
                           "user,id=net0,restrict=on", *self.boot()], stdout=subprocess.PIPE) as process:
            serial = Serial(process.stdout.fileno())
            qmp = Qmp.over(("localhost", port))
            serial.expect(USERSPACE)
            registers = qmp.human("info registers")
            if not re.search(r"\bPC=[0-9a-f]{16}", registers) or not re.search(r"\bX00=[0-9a-f]{16}", registers):
                raise Failed(f"info registers: {registers}")
            cpus = qmp.command("query-cpus-fast")
            if len({c["thread-id"] for c in cpus}) != 2 or not all(
                    os.path.exists(f"/proc/{process.pid}/task/{c['thread-id']}") for c in cpus):
                raise Failed(f"query-cpus-fast: {cpus}")
            process.terminate()
            if qmp.event("SHUTDOWN") != {"guest": False, "reason": "host-signal"}:
                raise Failed("its end by a signal has another reason")
            self.finish(process, 128 + 15)

    def run_pytest_embedded(self):
        """Both on TCP servers; a reset while it runs."""
        ports = []
        for _ in range(2):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                ports.append(probe.getsockname()[1])
        with self.running(["-nographic", "-machine", "virt", "-cpu", "cortex-a53", *self.boot(), "-m", "256", "-serial",
                           f"tcp::{ports[0]},server,nowait", "-qmp", f"tcp:127.0.0.1:{ports[1]},server,wait=off"]) as process:
            serial = Serial(connect(("127.0.0.1", ports[0])))
            qmp = Qmp.over(("127.0.0.1", ports[1]))
            serial.expect(USERSPACE)
            qmp.command("system_reset")
            qmp.event("RESET")
            serial.expect(b"Linux version")
            qmp.refuses("screendump", filename=self.path("screen.ppm"))
            qmp.command("quit")
            self.finish(process)

    def run_nomad(self):
        """In the background with a process number; the monitor on a socket, taking text."""
        monitor, pid = self.path("monitor"), self.path("pid")
        process = self.start(["-machine", "type=virt,accel=tcg", "-accel", "tcg,thread=multi,tb-size=128", "-cpu",
                              "cortex-a72", "-name", "test", "-m", "256M", *self.boot(), "-display", "none", "-monitor",
                              f"unix:{monitor},server,nowait", "-qmp", f"unix:{self.path('qmp')},server,nowait",
                              "-pidfile", pid, "-daemonize", "-sandbox", "on"])
        self.finish(process)
        with open(pid, encoding="ascii") as stream:
            number = int(stream.read())
        qmp = Qmp.over(self.path("qmp"))
        human = connect(monitor)
        human.sendall(b"system_powerdown\n")
        qmp.event("POWERDOWN")
        human.sendall(b"quit\n")
        if qmp.event("SHUTDOWN") != {"guest": False, "reason": "host-qmp-quit"}:
            raise Failed("its end by the monitor has another reason")
        if qmp.reader.read():
            raise Failed("something came after the end")
        subprocess.run(["tail", f"--pid={number}", "-f", "/dev/null"], check=True, timeout=20)
        if os.path.exists(pid):
            raise Failed("it left its file with the process number")

    def run_panic(self):
        """Testers that want to know of a panic: no root file system makes one."""
        sock = self.path("panics")
        with self.running(["-machine", "virt", "-cpu", "cortex-a72", "-m", "256", "-nographic", "-qmp",
                           f"unix:{sock},server=on,wait=off", "-S", "-action", "panic=pause", "-kernel",
                           self.files.kernel, "-append", "console=ttyAMA0 panic=0"], stdout=subprocess.DEVNULL) as process:
            qmp = Qmp.over(sock)
            qmp.command("cont")
            if qmp.event("GUEST_PANICKED") != {"action": "pause"}:
                raise Failed("the panic has another action")
            qmp.event("STOP")
            if qmp.command("query-status")["status"] != "guest-panicked":
                raise Failed("the state is not guest-panicked")
            qmp.command("quit")
            self.finish(process)

    def run_pvpanic(self):
        """A guest that says by a device that it has panicked; Debian's kernels have no driver, so its shell writes."""
        initrd, sock = self.path("tells"), self.path("told")
        guest.make_initrd(initrd, self.files, run="""d=$(dirname $(grep -l 0x0011 /sys/bus/pci/devices/*/device))
echo 1 >$d/enable
read start end flags <$d/resource
echo "events $(devmem $start 8)"
devmem $start 8 1
sleep 1000
""")
        with self.running(["-machine", "virt", "-cpu", "cortex-a72", "-m", "256", "-nographic", "-device", "pvpanic-pci",
                           "-qmp", f"unix:{sock},server,nowait", "-action", "panic=pause", "-kernel",
                           self.files.kernel, "-initrd", initrd, "-append", "console=ttyAMA0"], stdout=subprocess.PIPE) as process:
            serial = Serial(process.stdout.fileno())
            qmp = Qmp.over(sock)
            serial.expect(b"events 0x01")
            if qmp.event("GUEST_PANICKED") != {"action": "pause"}:
                raise Failed("the panic has another action")
            qmp.event("STOP")
            if qmp.command("query-status")["status"] != "guest-panicked":
                raise Failed("the state is not guest-panicked")
            qmp.command("quit")
            self.finish(process)

    def run_hotplug(self):
        """A device added to a port and taken out again."""
        initrd, sock = self.path("plugs"), self.path("plugged")
        guest.make_initrd(initrd, self.files, modules=["virtio_pci", "virtio-rng"],
                          run="""cd /sys/class/misc/hw_random
until grep -q virtio rng_current; do sleep 0.1; done
echo "@there $(head -c 16 /dev/hwrng | wc -c)"
while grep -q virtio rng_current; do sleep 0.1; done
poweroff -f
""")
        with self.running(["-machine", "virt", "-cpu", "cortex-a72", "-m", "256", "-nographic", "-device",
                           "pcie-root-port,id=port1,chassis=1", "-qmp", f"unix:{sock},server,nowait", "-kernel",
                           self.files.kernel, "-initrd", initrd, "-append", "console=ttyAMA0"], stdout=subprocess.PIPE) as process:
            serial = Serial(process.stdout.fileno())
            qmp = Qmp.over(sock)
            serial.expect(USERSPACE)
            qmp.command("device_add", driver="virtio-rng-pci", bus="port1", id="rng1")
            serial.expect(b"@there 16")
            qmp.command("device_del", id="rng1")
            if qmp.event("DEVICE_DELETED")["device"] != "rng1":
                raise Failed("another device went")
            if qmp.event("SHUTDOWN") != {"guest": True, "reason": "guest-shutdown"}:
                raise Failed("its end has another reason")
            self.finish(process)

    def run_watchdog(self):
        """A guest whose watchdog daemon hangs."""
        initrd, sock = self.path("hangs"), self.path("watched")
        guest.make_initrd(initrd, self.files, modules=["sbsa_gwdt"],
                          run="cat /sys/class/watchdog/watchdog0/identity; exec watchdog -F -T 2 -t 1000 /dev/watchdog\n")
        with self.running(["-machine", "virt", "-cpu", "cortex-a72", "-m", "256", "-nographic", "-device", "sbsa_gwdt",
                           "-qmp", f"unix:{sock},server,nowait", "-action", "watchdog=pause", "-kernel",
                           self.files.kernel, "-initrd", initrd, "-append", "console=ttyAMA0"], stdout=subprocess.PIPE) as process:
            serial = Serial(process.stdout.fileno())
            qmp = Qmp.over(sock)
            serial.expect(b"SBSA Generic Watchdog")
            if qmp.event("WATCHDOG") != {"action": "pause"}:
                raise Failed("the watchdog has another action")
            qmp.event("STOP")
            if qmp.command("query-status")["status"] != "watchdog":
                raise Failed("the state is not watchdog")
            qmp.command("quit")
            self.finish(process)


def main():
    emulator, chosen = sys.argv[1], sys.argv[2:]
    files = guest.for_test(programs=[emulator])
    faults = 0
    with tempfile.TemporaryDirectory() as folder:
        tools = Tools(emulator, files, folder)
        for name in [n for n in dir(tools) if n.startswith("run_") and (not chosen or n[4:] in chosen)]:
            print(name[4:], flush=True)
            try:
                getattr(tools, name)()
            except (Failed, QmpError, OSError, subprocess.SubprocessError) as err:
                faults += 1
                print(f"  WRONG: {err or type(err).__name__}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
