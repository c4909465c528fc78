#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Debian's netboot installer for ARM64, from its package, comes up to the screen that asks for the language and takes keys:
installer.py EMULATOR. Exit 77 where the package cannot be had."""
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from isotools import guest  # noqa: E402
from isotools.console import Console, ConsoleError  # noqa: E402
from isotools.debian import Failure, PrivateApt, unpack  # noqa: E402

PACKAGE = "debian-installer-12-netboot-arm64"
IMAGES = "usr/lib/debian-installer/images/12/arm64/text/debian-installer/arm64"
PATIENCE = 240 * float(os.environ.get("ISOMER_PATIENCE", "1"))


def ensure_images():
    folder = os.path.join(guest.cache_dir(), "installer")
    images = [os.path.join(folder, name) for name in ("linux", "initrd.gz")]
    os.makedirs(folder, exist_ok=True)
    with guest.locked(folder), tempfile.TemporaryDirectory(dir=folder) as scratch:
        if not all(map(os.path.exists, images)):
            apt = PrivateApt(guest.cache_dir(), "arm64")
            apt.update()
            name, version = apt.resolve(PACKAGE)
            deb = apt.download(name, version, scratch, "all")
            unpack(deb, os.path.join(scratch, "tree"))
            for image in images:
                shutil.move(os.path.join(scratch, "tree", IMAGES, os.path.basename(image)), image)
    return images


def main():
    try:
        kernel, initrd = ensure_images()
    except (Failure, OSError) as failure:
        print(f"skip: no installer: {failure}")
        return 77
    with tempfile.NamedTemporaryFile(suffix=".qcow2") as disk:
        subprocess.run([sys.argv[1], "img", "create", "-q", "-f", "qcow2", disk.name, "8G"], check=True)
        command = [sys.argv[1], "-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "1024", "-nographic", "-kernel", kernel,
                   "-initrd", initrd, "-append", "console=ttyAMA0", "-nic", "user,model=virtio-net-pci",
                   "-drive", f"file={disk.name},format=qcow2,if=virtio"]
        try:
            with Console(command) as console:
                console.expect("Select a language", PATIENCE, "Kernel panic")
                console.expect("English", PATIENCE)
                console.send("\r")
                console.expect("Select your location", PATIENCE)
                console.send("\x01x")
                status = console.wait(PATIENCE)
        except ConsoleError as err:
            print(err)
            return 1
    print(f"the installer asked for language and location; the emulator ended with status {status}")
    return 1 if status else 0


if __name__ == "__main__":
    sys.exit(main())
