# SPDX-License-Identifier: MIT
"""What a measured guest is made of and told to do. The rows are divided into sessions, each one boot of a
machine: the kernels of guestbench.c with one CPU and again, for the rows named "...@2", with two, the
programs with their disk, and disks and networks (benchdevices.py). A session's initramfs marks when its work
begins and finishes; the boot rows come from the first session without a disk of programs."""
import os

from isotools import benchstats, guest, programs

BOOT_ROWS = benchstats.GROUPS["boot"]
FACTS = """
kpti=off
dmesg | grep -q 'Kernel/User page tables isolation: enabled\\|detected: Kernel page table isolation' && kpti=on
echo "ISOMER-FACT kpti $kpti"
echo "ISOMER-FACT meltdown $(cat /sys/devices/system/cpu/vulnerabilities/meltdown 2>/dev/null)"
echo "ISOMER-FACT cpus $(nproc)"
"""
# Everything the programs may read is read once, so that no row pays for the disk.
DISK = """
for i in 1 2 3 4 5 6 7 8 9 10; do [ -b /dev/vda ] && break; sleep 0.2; done
mkdir -p /mnt
mount -t ext4 -o ro /dev/vda /mnt
mount -t proc proc /mnt/proc
mount -t devtmpfs dev /mnt/dev
mount -t tmpfs tmp /mnt/tmp
find /mnt/bin /mnt/lib /mnt/usr /mnt/bench -xdev -type f -exec cat {} + >/dev/null
"""
WORK = """
guestbench mark begin
%s
guestbench mark finish
sync
guestbench mark poweroff
"""


class Session:
    """One boot. rows: as in the table; names: as the programs in the guest know them; program_disk: what the programs
    come from, or None; modules: of the kernel, to load before. open() and close() enclose all of its boots."""
    program_disk, modules = None, ()

    def __init__(self, name, smp, rows):
        self.name, self.smp, self.rows = name, smp, rows
        self.names = [row.split("@")[0] for row in rows if row not in BOOT_ROWS]
        self.initrd, self.image = None, None

    def open(self):
        pass

    def before_boot(self):
        pass

    def close(self):
        pass

    def setup(self):
        """What the guest does before the work."""
        return ""

    def devices(self):
        """Options beyond those of every session."""
        return ["-nographic"]

    def row_of(self, name):
        return f"{name}@{self.smp}" if self.name == "smp2" else name

    def work(self, reps):
        """The command that does the work, in the guest."""
        if not self.names:
            return "sleep 1"
        if self.program_disk:
            return f"chroot /mnt /bench/progbench {reps['programs']} /bench {' '.join(self.names)}"
        return f"guestbench {reps['kernels']} {' '.join(self.names)}"

    def script(self, reps):
        return FACTS + self.setup() + WORK % self.work(reps)

    def machine(self, files, options):
        """The part of the command line that is the same for every emulator, but for -cpu."""
        return ["-M", options.machine, "-smp", str(self.smp), "-m", options.memory,
                "-kernel", files.kernel, "-initrd", self.initrd,
                "-append", f"console=ttyAMA0 {options.append}".strip(), *self.devices()]


class ProgramSession(Session):
    program_disk, modules = programs.PROGRAMS, programs.MODULES

    def __init__(self, rows):
        super().__init__("programs", 1, rows)

    def setup(self):
        return DISK

    def devices(self):
        return ["-nographic", "-drive", f"file={self.image},if=none,format=raw,readonly=on,id=programs",
                "-device", "virtio-blk-device,drive=programs"]


def prepare(sessions, flavour, reps, note):
    """Makes every image. Returns (GuestFiles, packages on the programs' disk, paths of files to remove at the end)."""
    files = guest.ensure(flavour, note=note)
    folder = os.path.join(guest.cache_dir(), "bench")
    runner = programs.compile_for("aarch64", "guestbench.c", os.path.join(folder, "guestbench-aarch64"))
    packages, temporary = [], []
    with open(runner, "rb") as stream:
        extra = [("bin/guestbench", stream.read(), 0o755)]
    for session in sessions:
        session.initrd = os.path.join(folder, f"initrd-{session.name}-{os.getpid()}.gz")
        temporary.append(session.initrd)
        guest.make_initrd(session.initrd, files, run=session.script(reps), extra=extra,
                          modules=session.modules)
        if session.program_disk:
            session.image, names = programs.ensure_image(note, session.program_disk)
            packages += [name for name in names if name not in packages]
    return files, packages, temporary
