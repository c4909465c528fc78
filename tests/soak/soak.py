#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Debian's stress-ng in the guest, all of its results verified: processor, memory, atomics, futexes, pipes, processes,
signals and floating point at once, on two processors, while the optimising tier turns what is hot into regions.

Stressors run in rounds, a few at a time for some seconds; the rounds repeat until the time is up. Fails when a stressor
finds a wrong result or ends badly, when the kernel complains, or when no region was made. How long: --seconds or
$ISOMER_SOAK. Exit 77 where the packages cannot be had."""
import argparse
import itertools
import os
import re
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from isotools import guest, programs  # noqa: E402
from isotools.console import Console, ConsoleError  # noqa: E402
from isotools.debian import Failure, PrivateApt, make_tree  # noqa: E402

PACKAGES = ("dash", "coreutils", "stress-ng")
TRIM = ("usr/share/*",)
IMAGE_MIB = 160
PANIC = r"Kernel panic|Internal error: Oops|Unable to handle kernel|Attempted to kill init|lock-step difference"
COMPLAINTS = "BUG:|WARNING:|Oops|rcu.*(stall|detected)|soft lockup|hung_task|Unexpected|segfault|unhandled"
# Stressors of a round, with options; each runs once on every processor.
ROUNDS = (
    "--cpu 1 --cpu-method all --switch 1 --futex 1",
    "--vm 1 --vm-bytes 24M --vm-method all --pipe 1 --matrix 1 --matrix-size 64",
    "--atomic 1 --mmap 1 --mmap-bytes 16M --io 1 --fork 1",
    "--fp 1 --memcpy 1 --signal 1",
    "--qsort 1 --qsort-size 16384 --crypt 1 --hash 1",
    "--vecmath 1 --mutex 1 --sem 1",
    "--bsearch 1 --str 1 --wcs 1 --tree 1 --tree-size 20000",
    "--funccall 1 --longjmp 1 --stack 1 --mremap 1 --mremap-bytes 8M",
    "--nanosleep 1 --timer 1 --eventfd 1 --sigsegv 1",
    "--vforkmany 1 --clone 1 --membarrier 1 --mincore 1",
    "--vecwide 1 --fp-error 1 --radixsort 1 --zlib 1",
    "--memrate 1 --memrate-bytes 8M --stream 1 --lockbus 1 --cache 1",
)
PREPARE = ("for i in 1 2 3 4 5 6 7 8 9 10; do [ -b /dev/vda ] && break; sleep 0.2; done; mkdir -p /mnt; "
           "mount -t ext4 -o ro /dev/vda /mnt && mount -t proc proc /mnt/proc && mount -t sysfs sys /mnt/sys && "
           "mount -t devtmpfs dev /mnt/dev && mount -t tmpfs tmp /mnt/tmp")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--emulator", required=True)
    parser.add_argument("--accel", default="jit,tier=auto")
    parser.add_argument("--smp", default="2")
    parser.add_argument("--gic", default="3", choices=("2", "3"))
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("ISOMER_SOAK", "75")))
    parser.add_argument("--slice", type=int, default=6, help="seconds of a round")
    parser.add_argument("--rounds", help="numbers of the rounds to run, from 0 on, separated by commas")
    parser.add_argument("--boot", type=float, default=120 * float(os.environ.get("ISOMER_PATIENCE", "1")),
                        help="seconds that the boot may take")
    parser.add_argument("--log", help="write the console here")
    return parser.parse_args()


def ensure_image():
    """The disk with stress-ng."""
    folder = os.path.join(guest.cache_dir(), "soak")
    tree, image = os.path.join(folder, "root"), os.path.join(folder, "root.ext4")
    os.makedirs(folder, exist_ok=True)
    with guest.locked(folder):
        if not os.path.exists(tree + ".packages"):
            make_tree(tree, PrivateApt(guest.cache_dir(), "arm64"), PACKAGES, TRIM)
            programs.finish(tree)
        if not os.path.exists(image):
            programs.fill(image, tree, IMAGE_MIB)
    return image


def regions(console):
    """How many regions the monitor says were made, and all it says."""
    text = console.monitor("info jit", 60, PANIC)
    console.send("\r")
    console.expect(guest.PROMPT, 60, PANIC)
    made = re.search(r"^regions: (\d+) made", text, re.M)
    return int(made.group(1)) if made else 0, text


def run_round(console, number, args):
    """What stress-ng finds fault with in a round."""
    patience = 60 + 20 * args.slice
    command = f"chroot /mnt /usr/bin/stress-ng --verify --timeout {args.slice} --temp-path /tmp --oomable {ROUNDS[number]} 2>&1"
    output, status = console.shell(command, guest.PROMPT, patience)
    ended = re.search(r"(un)?successful run completed in ([\d.]+)s", output)
    print(f"round {number}: status {status}, {ended.group(2) if ended else '?'} s: {ROUNDS[number]}", flush=True)
    if status == 0 and ended and not re.search(r"\bfail(ed)?:|error:.*verif", output):
        return []
    return [f"round {number}: {ROUNDS[number]}: status {status}\n{output}"]


def soak(console, args):
    """What went wrong."""
    console.expect(guest.PROMPT, args.boot, PANIC)
    output, status = console.shell(PREPARE, guest.PROMPT, 60)
    if status:
        return [f"the disk cannot be mounted: {output}"]
    numbers = [int(n) for n in args.rounds.split(",")] if args.rounds else range(len(ROUNDS))
    deadline, faults, done = time.monotonic() + args.seconds, [], 0
    for number in itertools.cycle(numbers):
        faults += run_round(console, number, args)
        done += 1
        if faults or time.monotonic() > deadline:
            break
    output, _ = console.shell(f"dmesg | grep -E '{COMPLAINTS}' | head -20", guest.PROMPT)
    if output:
        faults.append(f"the kernel complains:\n{output}")
    made, text = regions(console)
    print(f"{done} rounds\n{text}")
    if not made and "tier=fast" not in args.accel:
        faults.append("no region was made")
    return faults


def run(args, files, image):
    with tempfile.TemporaryDirectory() as folder:
        initrd = os.path.join(folder, "initrd")
        guest.make_initrd(initrd, files, modules=programs.MODULES)
        command = [args.emulator, "-M", f"virt,gic-version={args.gic}", "-cpu", "cortex-a72", "-smp", args.smp, "-m", "768",
                   "-nographic", "-accel", args.accel, "-kernel", files.kernel, "-initrd", initrd,
                   "-append", "console=ttyAMA0", "-drive", f"file={image},if=none,format=raw,readonly=on,id=soak",
                   "-device", "virtio-blk-device,drive=soak"]
        with Console(command, args.log) as console:
            faults = soak(console, args)
            console.send("poweroff -f\r")
            status = console.wait(60)
    return faults + ([f"the emulator ended with status {status}"] if status else [])


def main():
    args = parse()
    files = guest.for_test()
    try:
        image = ensure_image()
    except Failure as failure:
        print(f"skip: {failure}")
        return 77
    try:
        faults = run(args, files, image)
    except ConsoleError as err:
        faults = [str(err)]
    print("\n".join(faults) or "nothing wrong")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
