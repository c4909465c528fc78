# SPDX-License-Identifier: MIT
"""A Debian system on a disk, as its users have it: GPT, an EFI system partition with GRUB, ext4, systemd, a compiler and an
SSH server. debootstrap fetches the packages on the host; the guest installs them itself, under the emulator that is being
tried, and puts GRUB where firmware looks for it. Made once, into .cache/distro/; needs root for the files' owners."""
import os
import shutil
import subprocess

from isotools import guest
from isotools.console import Console
from isotools.debian import Failure, system_mirror

PACKAGES = ("systemd-sysv udev dbus ifupdown isc-dhcp-client iproute2 openssh-server gcc libc6-dev make grub-efi-arm64 "
            "linux-image-arm64 initramfs-tools e2fsprogs curl ca-certificates busybox less procps kmod").split()
TOOLS = {"debootstrap": "debootstrap", "mkfs.vfat": "dosfstools", "sfdisk": "fdisk", "mke2fs": "e2fsprogs",
         "ssh-keygen": "openssh-client"}
MIB = 1 << 20
ESP_AT, ESP_SIZE, ROOT_AT, ROOT_SIZE = 1 * MIB, 64 * MIB, 65 * MIB, 2560 * MIB
PASSWORD = "isomer"
INSTALL_SECONDS = 3600
MODULES = ("virtio_mmio", "virtio_blk", "crc32c_generic", "ext4", "vfat", "nls_ascii", "nls_cp437")
ADDITIONS = {  # path: (text, mode)
    "etc/fstab": ("/dev/vda2 / ext4 errors=remount-ro 0 1\n/dev/vda1 /boot/efi vfat umask=0077 0 1\n", 0o644),
    "etc/hostname": ("isomer\n", 0o644),
    "etc/hosts": ("127.0.0.1 localhost\n127.0.1.1 isomer\n", 0o644),
    "etc/network/interfaces": ("auto lo\niface lo inet loopback\nallow-hotplug eth0\niface eth0 inet dhcp\n", 0o644),
    "etc/default/grub": ("GRUB_TIMEOUT=2\nGRUB_CMDLINE_LINUX='console=ttyAMA0 net.ifnames=0'\nGRUB_TERMINAL=console\n", 0o644),
    "isomer-setup": ("""set -ex
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
/debootstrap/debootstrap --second-stage
echo 'root:%s' | chpasswd
mkdir -p /boot/efi
mount -t vfat /dev/vda1 /boot/efi
grub-install --target=arm64-efi --efi-directory=/boot/efi --removable --no-nvram
update-grub
ls /boot/efi/EFI/BOOT
umount /boot/efi
rm /isomer-setup
sync
echo "@installed"
""" % PASSWORD, 0o755),
}
RUN = """
n=0; while [ $n -lt 150 ]; do n=$((n+1)); [ -b /dev/vda2 ] && break; sleep 0.2; done
mkdir -p /mnt
mount -t ext4 /dev/vda2 /mnt
mount -t proc proc /mnt/proc
mount -t sysfs sys /mnt/sys
mount -t devtmpfs dev /mnt/dev
chroot /mnt /bin/bash /isomer-setup
umount /mnt/proc /mnt/sys /mnt/dev
umount /mnt && echo "@unmounted"
"""


def _tool(name):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        raise Failure(f"{name} is missing; install Debian's {TOOLS[name]}.")
    return path


def _run(command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **more)
    if done.returncode:
        last = (done.stdout.strip().splitlines() or ["no reason given"])[-1]
        raise Failure(f"{os.path.basename(command[0])} failed: {last}")


def _bootstrap(folder, note):
    """The tree before its packages are set up, and a key for ssh to it."""
    tree, key = os.path.join(folder, "root"), os.path.join(folder, "key")
    if not os.path.isdir(tree):
        if os.geteuid():
            raise Failure("a disk of Debian's needs root, for the owners of its files.")
        note("fetching a Debian system")
        scratch = tree + ".new"
        shutil.rmtree(scratch, ignore_errors=True)
        _run([_tool("debootstrap"), "--foreign", "--arch=arm64", "--variant=minbase", "--include=" + ",".join(PACKAGES),
              "bookworm", scratch, system_mirror()])
        os.rename(scratch, tree)
    if not os.path.exists(key):
        _run([_tool("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", key])
    for path, (text, mode) in ADDITIONS.items():
        full = os.path.join(tree, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="ascii") as stream:
            stream.write(text)
        os.chmod(full, mode)
    os.makedirs(os.path.join(tree, "root/.ssh"), mode=0o700, exist_ok=True)
    shutil.copy(key + ".pub", os.path.join(tree, "root/.ssh/authorized_keys"))
    return tree


def _partition(disk, tree):
    """A raw disk with both file systems in place."""
    esp, root = disk + ".esp", disk + ".root"
    for path, size in ((disk, ROOT_AT + ROOT_SIZE + MIB), (esp, ESP_SIZE), (root, ROOT_SIZE)):
        with open(path, "wb") as stream:
            stream.truncate(size)
    _run([_tool("mkfs.vfat"), "-F", "32", esp])
    _run([_tool("mke2fs"), "-q", "-F", "-t", "ext4", "-d", tree, root])
    table = f"label: gpt\nstart={ESP_AT // 512}, size={ESP_SIZE // 512}, type=U\n" \
            f"start={ROOT_AT // 512}, size={ROOT_SIZE // 512}, type=L\n"
    _run([_tool("sfdisk"), "-q", disk], input=table)
    for part, at in ((esp, ESP_AT), (root, ROOT_AT)):
        _run(["dd", f"if={part}", f"of={disk}", "bs=1M", f"seek={at // MIB}", "conv=notrunc,sparse"])
        os.unlink(part)


def ensure_disk(emulator, note=lambda text: None, log=None):
    """(path of the qcow2 image with the installed system, path of the ssh key that root takes)"""
    folder = os.path.join(guest.cache_dir(), "distro")
    os.makedirs(folder, exist_ok=True)
    image, raw = os.path.join(folder, "debian.qcow2"), os.path.join(folder, "debian.raw")
    with guest.locked(folder):
        if not os.path.exists(image):
            tree = _bootstrap(folder, note)
            note("making the disk")
            _partition(raw, tree)
            note("the guest installs Debian; this takes some minutes")
            _install(emulator, raw, folder, log)
            _run([emulator, "img", "convert", "-f", "raw", "-O", "qcow2", raw, image + ".new"])
            os.rename(image + ".new", image)
            os.unlink(raw)
    return image, os.path.join(folder, "key")


def _install(emulator, raw, folder, log):
    files = guest.ensure("generic")
    initrd = os.path.join(folder, "initrd")
    guest.make_initrd(initrd, files, RUN, modules=MODULES)
    command = [emulator, "-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "1024", "-nographic", "-no-reboot",
               "-kernel", files.kernel, "-initrd", initrd, "-append", "console=ttyAMA0 quiet",
               "-drive", f"file={raw},if=none,format=raw,id=disk", "-device", "virtio-blk-device,drive=disk"]
    with Console(command, log) as console:
        console.expect("@installed", INSTALL_SECONDS, "Kernel panic")
        console.expect("@unmounted", 60)
        if console.wait(120):
            raise Failure("the machine in which Debian was installed ended badly.")
