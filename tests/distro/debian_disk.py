#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Debian on its disk, as people use it: debian_disk.py EMULATOR [--log FILE]. From EDK2 and GRUB to a login with four
processors; apt and dpkg, a C program compiled, HTTP and ssh from the host by forwarded ports, a host folder over 9P, a
snapshot that brings back what was, in the same process and in a new one, and power-off; afterwards qemu-img and e2fsck
find nothing wrong. The first run makes the disk (tools/isotools/distro.py). Exit 77 where that cannot be."""
import argparse
import hashlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from isotools import distro  # noqa: E402
from isotools.console import Console, ConsoleError  # noqa: E402
from isotools.debian import Failure  # noqa: E402

CODE, VARS = "/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"
PATIENCE = 300 * float(os.environ.get("ISOMER_PATIENCE", "1"))
PROMPT = r"root@isomer:~# "
PANIC = "Kernel panic|Internal error: Oops"
SOURCE = r'#include <stdio.h>\n#include <math.h>\nint main(void) { printf("%%.6f\\n", 4 * atan(1)); return 0; }\n'


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Faults:
    def __init__(self):
        self.list = []

    def check(self, what, good, detail=""):
        print(f"{'ok' if good else 'WRONG'}: {what}{'' if good else ': ' + str(detail)}", flush=True)
        if not good:
            self.list.append(what)


class Machine:
    """A command line for one disk; a context manager's worth of console for each start."""
    def __init__(self, emulator, folder, image):
        self.folder, self.ssh, self.http = folder, free_port(), free_port()
        self.share = os.path.join(folder, "share")
        self.disk = os.path.join(folder, "disk.qcow2")
        os.mkdir(self.share)
        subprocess.run([emulator, "img", "create", "-q", "-f", "qcow2", "-b", image, "-F", "qcow2", self.disk], check=True)
        subprocess.run([emulator, "img", "convert", "-f", "raw", "-O", "qcow2", VARS, os.path.join(folder, "vars")], check=True)
        self.command = [
            emulator, "-M", "virt,gic-version=3", "-cpu", "cortex-a72", "-smp", "4", "-m", "1024", "-nographic",
            "-drive", f"if=pflash,unit=0,file={CODE},format=raw,readonly=on",
            "-drive", f"if=pflash,unit=1,file={folder}/vars,format=qcow2",
            "-drive", f"file={self.disk},if=none,format=qcow2,id=disk", "-device", "virtio-blk-pci,drive=disk,bootindex=1",
            "-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{self.ssh}-:22,hostfwd=tcp:127.0.0.1:{self.http}-:80",
            "-device", "virtio-net-pci,netdev=net",
            "-fsdev", f"local,id=fs,path={self.share},security_model=none", "-device", "virtio-9p-pci,fsdev=fs,mount_tag=host"]


def log_in(console):
    console.expect("isomer login: ", PATIENCE, PANIC)
    console.send("root\r")
    console.expect("Password: ", PATIENCE)
    console.send(distro.PASSWORD + "\r")
    console.expect(PROMPT, PATIENCE)


def work(console, machine, key, faults):
    """What a user does in an evening."""
    def shell(command, seconds=PATIENCE):
        return console.shell(command, PROMPT, seconds)
    said, _ = shell("nproc; uname -m; findmnt -no SOURCE /; test -d /sys/firmware/efi && echo efi")
    faults.check("four processors, its own root, EFI", said.split() == ["4", "aarch64", "/dev/vda2", "efi"], said)
    said, status = shell("mkdir -p /tmp/p/DEBIAN /tmp/p/opt && echo hello >/tmp/p/opt/hello && printf 'Package: hi\\nVersion: 1\\n"
                         "Architecture: all\\nMaintainer: me <a@b.c>\\nDescription: hi\\n' >/tmp/p/DEBIAN/control && dpkg-deb -b "
                         "/tmp/p /tmp/hi.deb >/dev/null && apt-get -qq install -y /tmp/hi.deb >/tmp/apt.log 2>&1; "
                         "cat /opt/hello; apt list --installed 2>/dev/null | grep -c '^hi/'")
    faults.check("apt installs a package of its own", said.split() == ["hello", "1"] and not status, said)
    said, _ = shell("dpkg -V gcc-12 libc6 bash; apt-get check 2>&1 | grep -c '^E:'")
    faults.check("dpkg and apt find their files right", said == "0", said)
    said, _ = shell(f"printf '{SOURCE}' >/tmp/pi.c; gcc -O2 -o /tmp/pi /tmp/pi.c -lm && /tmp/pi")
    faults.check("gcc compiles a program that runs", said == "3.141593", said)
    said, _ = shell("mkdir -p /srv/web /mnt/host; dd if=/dev/urandom of=/srv/web/blob bs=1M count=8 2>/dev/null; "
                    "busybox httpd -p 80 -h /srv/web; md5sum </srv/web/blob")
    url = f"http://127.0.0.1:{machine.http}/blob"
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as stream:
            got = hashlib.md5(stream.read()).hexdigest()
    except OSError as err:
        got = str(err)
    faults.check("the host fetches by HTTP", got == said.split()[0], f"{got}, {said}")
    done = subprocess.run(["ssh", "-i", key, "-p", str(machine.ssh), "-o", "StrictHostKeyChecking=no", "-o",
                           "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "root@127.0.0.1",
                           "hostname; echo $((6 * 7)); cat"], input="by ssh\n", capture_output=True, text=True, timeout=PATIENCE,
                          check=False)
    faults.check("the host works in it by ssh", done.stdout.split("\n") == ["isomer", "42", "by ssh", ""], done.stdout + done.stderr)
    with open(os.path.join(machine.share, "from-host"), "w", encoding="ascii") as stream:
        stream.write("written by the host\n")
    said, _ = shell("mount -t 9p -o trans=virtio,version=9p2000.L host /mnt/host && cat /mnt/host/from-host && "
                    "echo written by the guest >/mnt/host/from-guest; umount /mnt/host")
    with open(os.path.join(machine.share, "from-guest"), encoding="ascii") as stream:
        faults.check("a host folder over 9P", said == "written by the host" and stream.read() == "written by the guest\n", said)


def snapshot(console, faults):
    def shell(command):
        return console.shell(command, PROMPT, PATIENCE)[0]
    shell("echo before >/root/state; echo before >/run/state; sync; (while :; do date +%s >/run/now; sleep 0.2; done &)")
    answer = console.monitor("savevm evening", PATIENCE)
    console.send("\r")
    console.expect(PROMPT, PATIENCE)
    said = shell("echo after >/root/state; echo after >/run/state; sync; cat /root/state /run/state")
    faults.check("a snapshot is taken and the machine goes on", said.split() == ["after", "after"], answer + said)
    answer = console.monitor("loadvm evening", PATIENCE)
    console.send("\r")
    console.expect(PROMPT, PATIENCE)
    said = shell("cat /root/state /run/state; echo alive")
    faults.check("the snapshot brings back disk and memory", said.split() == ["before", "before", "alive"], answer + said)


def leave(console, faults):
    console.send("poweroff\r")
    faults.check("it powers off", console.wait(PATIENCE) == 0)


def check_disk(machine, faults):
    done = subprocess.run(["qemu-img", "check", "-q", machine.disk], capture_output=True, text=True, check=False)
    faults.check("qemu-img finds the image right", done.returncode == 0, done.stdout + done.stderr)
    raw = os.path.join(machine.folder, "raw")
    subprocess.run(["qemu-img", "convert", "-O", "raw", machine.disk, raw], check=True)
    command = ["e2fsck", "-fn", f"{raw}?offset={distro.ROOT_AT}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False,
                          env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})
    faults.check("e2fsck finds the file system right", done.returncode == 0, done.stdout + done.stderr)


def scenario(emulator, image, key, folder, log):
    faults = Faults()
    machine = Machine(emulator, folder, image)
    started = time.monotonic()
    with Console(machine.command, log) as console:
        console.expect("GNU GRUB|Loading Linux|Booting", PATIENCE)
        log_in(console)
        print(f"a login after {time.monotonic() - started:.0f} s", flush=True)
        work(console, machine, key, faults)
        snapshot(console, faults)
        leave(console, faults)
    check_disk(machine, faults)
    with Console([*machine.command, "-loadvm", "evening"], log and log + ".2") as console:
        console.send("\r")
        console.expect(PROMPT, PATIENCE)
        said, _ = console.shell("cat /root/state /run/state; [ -e /tmp/pi ] && /tmp/pi", PROMPT, PATIENCE)
        faults.check("a new process goes on from the snapshot", said.split() == ["before", "before", "3.141593"], said)
        leave(console, faults)
    check_disk(machine, faults)
    return faults.list


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("emulator")
    parser.add_argument("--log", help="write the console here")
    args = parser.parse_args()
    try:
        if not os.path.exists(CODE):
            raise Failure("there is no EDK2 for ARM; install Debian's qemu-efi-aarch64.")
        image, key = distro.ensure_disk(args.emulator, lambda text: print(f"distro: {text}", flush=True), args.log)
    except Failure as failure:
        print(f"skip: no disk: {failure}")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        try:
            return 1 if scenario(args.emulator, image, key, folder, args.log) else 0
        except (ConsoleError, subprocess.SubprocessError) as err:
            print(err)
            return 1


if __name__ == "__main__":
    sys.exit(main())
