#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots Debian's kernel with every unit run twice, compiled and interpreted, and compared.

From the kernel's first instruction until so many units were compared, or until a line of the console. The emulator
itself ends with a status of its own at the first difference; how much it compared is asked of its monitor, so that
a run which compared nothing, or with tier=opt no regions, does not pass. Exit 77 where there is no guest."""
import argparse
import os
import re
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from isotools import guest  # noqa: E402
from isotools.console import Console, ConsoleError  # noqa: E402

PANIC = r"Kernel panic|Internal error: Oops|Unable to handle kernel|lock-step difference"


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--emulator", required=True)
    parser.add_argument("--accel", default="lockstep", help="another engine compares nothing: the test of this test")
    parser.add_argument("--kernel", default="cloud", choices=sorted(guest.KERNELS))
    parser.add_argument("--cpu", default="cortex-a72")
    parser.add_argument("--gic", default="2", choices=("2", "3"))
    parser.add_argument("--smp", default="1")
    parser.add_argument("--millions", type=float, default=5, help="compare so many million units at least")
    parser.add_argument("--until", metavar="REGEX", help="and until the console says this")
    parser.add_argument("--timeout", type=float, default=200, help="seconds for both")
    parser.add_argument("--log", help="write the console here")
    return parser.parse_args()


def compared(console, seconds):
    """How many units, and how many of them regions, the CPUs compared so far, by the monitor."""
    said = console.monitor("info jit", seconds, PANIC)
    rows = [re.search(rf"{what} compared +([\d ]+)", said) for what in ("units", "regions")]
    return [sum(map(int, row.group(1).split())) if row else 0 for row in rows]


def watch(console, args):
    """Until enough was compared and said; the count."""
    deadline = console.started + args.timeout
    if args.until:
        _, when = console.expect(args.until, args.timeout, PANIC)
        print(f"'{args.until}' after {when - console.started:.1f} s")
    while True:
        count, regions = compared(console, 30)
        spent = time.monotonic() - console.started
        print(f"{count} units compared after {spent:.1f} s, {regions} of them regions, no difference", flush=True)
        if count >= args.millions * 1e6 and (regions or "tier=opt" not in args.accel):
            return 0
        if time.monotonic() > deadline:
            print(f"fewer than {args.millions} million, or no regions, in {args.timeout:.0f} s")
            return 1
        time.sleep(min(max(deadline - time.monotonic(), 0.1), 2))


def drain(console):
    if console.seen("lock-step difference"):
        console.wait(30)


def main():
    args = parse()
    args.timeout *= float(os.environ.get("ISOMER_PATIENCE", "1"))
    files = guest.for_test(args.kernel, [args.emulator])
    with tempfile.TemporaryDirectory() as folder:
        initrd = os.path.join(folder, "initrd")
        guest.make_initrd(initrd, files)
        command = [args.emulator, "-M", f"virt,gic-version={args.gic}", "-cpu", args.cpu, "-smp", args.smp, "-m", "512",
                   "-nographic", "-accel", args.accel, "-kernel", files.kernel, "-initrd", initrd,
                   "-append", "console=ttyAMA0 earlycon"]
        try:
            with Console(command, args.log) as console:
                try:
                    failed = watch(console, args)
                except ConsoleError:
                    drain(console)  # the log gets all of the emulator's report
                    raise
                console.send("\x01x")
                status = console.wait(30)
        except ConsoleError as err:
            print(err)
            return 1
    if status:
        print(f"the emulator ended with status {status}")
    return 1 if failed or status else 0


if __name__ == "__main__":
    sys.exit(main())
