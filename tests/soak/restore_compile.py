#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A machine under load is saved and restored into new processes again and again, and finishes its work right.

Four processors compile C files with Debian's ARM64 gcc, from the disk of tools/bench and onto a qcow2 image over it. At
random moments the machine is stopped, saved, in turn into a file (migrate) and into its disk (savevm), and goes on in
a new process, in turn compiled and interpreted. Fails unless the checksum of all object files is that of a run which
nobody disturbed, the kernel complained of nothing, and qemu-img and e2fsck find the disk consistent.
Exit 77 where the packages cannot be had."""
import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from isotools import guest, programs  # noqa: E402
from isotools.console import Console, ConsoleError  # noqa: E402
from isotools.debian import Failure  # noqa: E402

PANIC = r"Kernel panic|Internal error: Oops|Unable to handle kernel|Attempted to kill init"
COMPLAINTS = "BUG:|WARNING:|Oops|I/O error|EXT4-fs error|rcu.*(stall|detected)|soft lockup|segfault|unhandled|nobody cared"
# The interpreter does not compile a file in reasonable time: it takes the machine a short way only.
ENGINES = ("jit,tier=auto", "jit,tier=fast", "interp", "jit,tier=auto", "lockstep,tier=fast")
SLOW = ("interp", "lockstep,tier=fast")
WORK = f"""for i in 1 2 3 4 5 6 7 8 9 10; do [ -b /dev/vda ] && break; sleep 0.2; done
mkdir -p /mnt
mount -t ext4 /dev/vda /mnt && mount -t tmpfs tmp /mnt/tmp && mount -t devtmpfs dev /mnt/dev || echo "@lost the disk"
mkdir -p /mnt/out
cat >/mnt/tmp/one.sh <<'END'
sed -e "s/0x9e3779b97f4a7c15u/(uint64_t)$1/" -e '1,500b;/^}}/q' /bench/source.c >/tmp/$1.c &&
    gcc -O$(($1 %% 3)) -fkeep-static-functions -c /tmp/$1.c -o /out/$1.o && rm /tmp/$1.c && echo "@done $1" || echo "@lost $1"
END
PATH=/usr/bin:/bin chroot /mnt /bin/sh -c 'seq 1 %d | xargs -P 4 -n 1 sh /tmp/one.sh'
sync
echo 3 >/proc/sys/vm/drop_caches
echo "@files $(ls /mnt/out | wc -l)"
echo "@sum $(cd /mnt/out && ls | sort -n | xargs sha256sum | sha256sum | cut -c1-64)"
umount /mnt/tmp /mnt/dev /mnt
dmesg | grep -E '{COMPLAINTS}' | sed 's/^/@complaint /'
echo "@finished"
"""


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--emulator", required=True)
    parser.add_argument("--moves", type=int, default=20)
    parser.add_argument("--files", type=int, default=0, help="how many to compile; without it, twice the moves and some")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--patience", type=float, default=300 * float(os.environ.get("ISOMER_PATIENCE", "1")),
                        help="seconds until the next file is compiled")
    parser.add_argument("--log", help="write the console here; a number is added for each process")
    args = parser.parse_args()
    args.files = args.files or 2 * args.moves + 16
    return args


class Machine:
    """A guest at work, wherever it is. said: what it has printed in all its processes."""
    def __init__(self, args, files, folder, image):
        self.args, self.folder, self.said, self.number = args, folder, "", 0
        self.disk, self.initrd = os.path.join(folder, "disk.qcow2"), os.path.join(folder, "initrd")
        subprocess.run([args.emulator, "img", "create", "-q", "-f", "qcow2", "-b", os.path.abspath(image), "-F", "raw",
                        self.disk], check=True)
        guest.make_initrd(self.initrd, files, run=WORK % args.files, modules=programs.MODULES)
        self.options = ["-M", "virt", "-cpu", "cortex-a72", "-smp", "4", "-m", "768", "-nographic", "-kernel", files.kernel,
                        "-initrd", self.initrd, "-append", "console=ttyAMA0 quiet",
                        "-drive", f"file={self.disk},if=none,format=qcow2,id=disk",
                        "-device", "virtio-blk-device,drive=disk"]
        self.console = None

    def start(self, accel, *more):
        log = f"{self.args.log}.{self.number}" if self.args.log else None
        self.number += 1
        self.console = Console([self.args.emulator, *self.options, "-accel", accel, *more], log)

    def end(self, status=0):
        """Ends the process, or waits for its end: what it has printed."""
        got = self.console.wait(60)
        self.said += self.console.text()
        self.console.close()
        if got != status:
            raise ConsoleError(f"the emulator ended with status {got}:\n{self.console.tail()}")

    def monitor(self, command, wanted=""):
        """Without wanted, an answer that is no complaint: what the guest prints may stand in it."""
        said = self.console.monitor(command, self.args.patience, PANIC)
        if not re.search(wanted, said) or (not wanted and re.search("Error|unknown command", said)):
            raise ConsoleError(f"'{command}' answered '{said}'")

    def move(self, accel, by_disk):
        """Saves, ends the process, and goes on in a new one."""
        state = os.path.join(self.folder, "state")
        if by_disk:
            self.monitor("stop")
            self.monitor("savevm moved")
        else:
            self.monitor(f"migrate file:{state}")
            self.monitor("info migrate", "Migration status: completed")
        self.console.send("\x01x")
        self.end()
        self.start(accel, *(["-loadvm", "moved"] if by_disk else ["-incoming", f"file:{state}"]))

    def finish(self):
        """The checksum of the object files."""
        self.console.expect("@finished", self.args.patience + 60 * self.args.files, PANIC)
        self.end()
        if re.search("^@(lost|complaint)", self.said, re.M):
            raise ConsoleError("\n".join(re.findall("^@(?:lost|complaint).*", self.said, re.M)))
        found = re.search(rf"^@files {self.args.files}\n@sum (\w+)", self.said, re.M)
        if not found:
            raise ConsoleError(f"not all files are there:\n{self.said[-2000:]}")
        return found.group(1)


def disturbed(machine, args):
    """Moves the machine while it works; the checksum."""
    rng = random.Random(args.seed)
    machine.start(ENGINES[0])
    for number in range(args.moves):
        accel = ENGINES[number % len(ENGINES)]
        if accel not in SLOW:
            match, _ = machine.console.expect(r"@done \d+|@files", args.patience, PANIC)
            if match.group() == b"@files":
                raise ConsoleError(f"the work was done after {number} moves: more files are needed")
        time.sleep(rng.uniform(0, 3))  # anywhere in its work
        since, by_disk = time.monotonic(), number % 2 == 1
        accel = ENGINES[(number + 1) % len(ENGINES)]
        machine.move(accel, by_disk)
        print(f"move {number + 1} by {'savevm' if by_disk else 'migrate'} to {accel}: {time.monotonic() - since:.1f} s, "
              f"{len(re.findall('@done', machine.said))} files done", flush=True)
    return machine.finish()


def check_disk(disk, folder):
    """qemu-img and e2fsck judge the image."""
    flat = os.path.join(folder, "flat")
    for words in (["qemu-img", "check", disk], ["qemu-img", "convert", "-O", "raw", disk, flat],
                  ["e2fsck", "-f", "-n", flat]):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ConsoleError(f"{' '.join(words)}: status {done.returncode}\n{done.stdout}{done.stderr}")


def run(args, files, image):
    sums = []
    for work in (lambda machine: (machine.start(ENGINES[0]), machine.finish())[1],
                 lambda machine: disturbed(machine, args)):
        with tempfile.TemporaryDirectory() as folder:
            machine, since = Machine(args, files, folder, image), time.monotonic()
            try:
                sums.append(work(machine))
            finally:
                if machine.console:
                    machine.console.close()
            check_disk(machine.disk, folder)
            print(f"{args.files} files in {time.monotonic() - since:.0f} s: {sums[-1]}", flush=True)
    if sums[0] != sums[1]:
        raise ConsoleError("the machine that was moved compiled something else")


def main():
    args = parse()
    print(f"seed {args.seed}", flush=True)
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    files = guest.for_test("cloud", [args.emulator, "qemu-img", "e2fsck"])
    try:
        image, _ = programs.ensure_image()
    except Failure as err:
        print(f"skip: {err}")
        return 77
    try:
        run(args, files, image)
    except ConsoleError as err:
        print(err)
        return 1
    print(f"moved {args.moves} times, the work was done right")
    return 0


if __name__ == "__main__":
    sys.exit(main())
