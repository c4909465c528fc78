# SPDX-License-Identifier: MIT
"""Guests made of Debian's own packages: a kernel flavour, busybox, and an init that prints marks.

Everything lands in `.cache/guest/` (or $ISOMER_CACHE) and is fetched once; later calls need no network. What /init
promises to its readers (tests/boot, tools/bench): the line "ISOMER-MARK userspace <uptime>" first, then either
/etc/isomer/run if the image has one, after which it powers off, or an interactive shell with job control."""
import contextlib
import fcntl
import json
import os
import shutil
import sys
import tempfile

from isotools.debian import Failure, PrivateApt, unpack
from isotools.initramfs import Initramfs

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# flavour -> (Debian's package for the current kernel, what the versioned one is called)
KERNELS = {
    "cloud": ("linux-image-cloud-arm64", r"linux-image-\d[\w.+-]*-cloud-arm64"),
    "generic": ("linux-image-arm64", r"linux-image-\d[\d.+-]*-arm64"),
}
PROMPT = "guest# "

INIT = """#!/bin/busybox sh
# Mounts what a shell expects, says when userspace began, then runs /etc/isomer/run or a shell.
/bin/busybox mkdir -p /proc /sys /dev /tmp /run /root /etc
/bin/busybox mount -t proc proc /proc
read up idle </proc/uptime
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root TERM=vt100 PS1='%s'
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
dmesg -n 1
hostname guest
echo "ISOMER-MARK userspace $up"
if [ -e /etc/isomer/run ]; then
    sh /etc/isomer/run
    sync
else
    cd /root
    # Without -f these ask process 1, which is this script and would not hear them.
    for way in poweroff reboot halt; do echo "alias $way='sync; $way -f'"; done >/etc/shellrc
    export ENV=/etc/shellrc
    echo "This is $(uname -sr) on $(uname -m). 'poweroff' ends the machine."
    setsid cttyhack sh
fi
poweroff -f
""" % PROMPT


def cache_dir():
    return os.environ.get("ISOMER_CACHE") or os.path.join(TOP, ".cache")


class GuestFiles:
    """Where the pieces of a guest lie on the host: kernel, busybox, the kernel package's version and modules."""
    def __init__(self, kernel, busybox, version, modules):
        self.kernel, self.busybox, self.version, self.modules = kernel, busybox, version, modules


def _fetch(apt, package, follow, folder):
    """Unpacks the package into `folder` and records its name and version; complete or not at all."""
    name, version = apt.resolve(package, follow)
    scratch = tempfile.mkdtemp(dir=os.path.dirname(folder))
    try:
        tree = os.path.join(scratch, "tree")
        unpack(apt.download(name, version, scratch), tree)
        shutil.rmtree(os.path.join(tree, "usr"), ignore_errors=True)  # device trees, manuals: 100 MB nobody reads
        with open(os.path.join(tree, "package.json"), "w", encoding="utf-8") as stream:
            json.dump({"name": name, "version": version}, stream)
        os.chmod(tree, 0o755)
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(tree, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def locked(root):
    """One fetch at a time: parallel tests share the cache."""
    with open(os.path.join(root, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _have(folder):
    return os.path.exists(os.path.join(folder, "package.json"))


def ensure(flavour="cloud", refresh=False, note=lambda text: None):
    """GuestFiles for this kernel flavour, fetched from Debian if the cache lacks them."""
    if flavour not in KERNELS:
        raise Failure(f"there is no kernel flavour {flavour}; choose one of {', '.join(KERNELS)}.")
    root = os.path.join(cache_dir(), "guest")
    os.makedirs(root, exist_ok=True)
    pieces = [(os.path.join(root, flavour), *KERNELS[flavour]),
              (os.path.join(root, "busybox"), "busybox-static", None)]
    with locked(root):
        wanted = [row for row in pieces if refresh or not _have(row[0])]
        if wanted:
            apt = PrivateApt(cache_dir(), "arm64")
            note("fetching " + ", ".join(row[1] for row in wanted) + " from Debian")
            apt.update()
            for folder, package, follow in wanted:
                _fetch(apt, package, follow, folder)
    folder = os.path.join(root, flavour)
    boot = os.path.join(folder, "boot")
    kernels = [f for f in os.listdir(boot) if f.startswith("vmlinuz-")]
    if not kernels:
        raise Failure(f"the kernel package in {folder} holds no boot/vmlinuz-*.")
    with open(os.path.join(folder, "package.json"), encoding="utf-8") as stream:
        version = json.load(stream)["version"]
    release = kernels[0][len("vmlinuz-"):]
    return GuestFiles(os.path.join(boot, kernels[0]), os.path.join(root, "busybox", "bin", "busybox"), version,
                      os.path.join(folder, "lib", "modules", release))


def for_test(flavour="cloud", programs=()):
    """GuestFiles for a test; where they or one of the programs cannot be had, ends it as skipped (Meson's status 77)."""
    try:
        missing = [program for program in programs if not shutil.which(program)]
        if missing:
            raise Failure(f"there is no {missing[0]}.")
        return ensure(flavour)
    except (Failure, OSError) as failure:
        print(f"skip: no guest: {failure}")
        sys.exit(77)


def _required(modules, names):
    """Paths of the named modules and of those they depend on, dependencies first."""
    by_name = {}
    for folder, _, files in os.walk(modules):
        for name in files:
            if name.endswith(".ko"):
                by_name[name[:-3].replace("-", "_")] = os.path.join(folder, name)
    order = []

    def add(name):
        name = name.replace("-", "_")
        if name not in by_name:
            return False
        if by_name[name] in order:
            return True
        with open(by_name[name], "rb") as stream:
            data = stream.read()
        at = data.find(b"\0depends=") + 9
        for need in data[at:data.index(b"\0", at)].decode().split(",") if at > 8 else []:
            add(need)
        order.append(by_name[name])
        return True

    for name in names:
        if not add(name):
            raise Failure(f"the kernel package has no module {name}.")
    return order


def make_initrd(path, files, run=None, init=None, extra=(), modules=()):
    """Writes an initramfs. run: text of /etc/isomer/run; init: replaces /init; extra: (destination, bytes, mode);
    modules: names of kernel modules that /init loads, with what they need, before the mark."""
    image = Initramfs()
    with open(files.busybox, "rb") as stream:
        image.file("bin/busybox", stream.read())
    image.link("bin/sh", "busybox")
    text = init if init is not None else INIT
    if modules:
        paths = _required(files.modules, modules)
        for module in paths:
            with open(module, "rb") as stream:
                image.file("lib/modules/" + os.path.basename(module), stream.read(), 0o644)
        loads = "".join(f"insmod /lib/modules/{os.path.basename(m)}\n" for m in paths)
        text = text.replace("dmesg -n 1\n", "dmesg -n 1\n" + loads, 1)
    image.file("init", text.encode())
    if run is not None:
        image.file("etc/isomer/run", run.encode())
    for destination, data, mode in extra:
        image.file(destination, data, mode)
    image.write(path)


def expect_sandbox(options):
    """Of an emulator about to run with these options: what a sanitizer calls at its end to look for leaks is denied in the
    sandbox."""
    if "-sandbox" in options:
        os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
