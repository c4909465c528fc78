#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A real program in lock-step: boots Debian's kernel with every unit run twice, compiled and interpreted, and compared,
then compiles a small C file with Debian's ARM64 gcc, from the disk of tools/bench, and compares the object code with
what the JIT alone makes of it. The emulator ends with a status of its own at the first difference.

Takes the better part of an hour with lock-step. Exit 77 where the packages cannot be had."""
import argparse
import os
import re
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from isotools import guest, programs  # noqa: E402
from isotools.console import Console, ConsoleError  # noqa: E402
from isotools.debian import Failure  # noqa: E402

PANIC = r"Kernel panic|Internal error: Oops|Attempted to kill init|lock-step difference"
SOURCE = ("#include <math.h>\\nstruct p { int k; double w; };\\n"
          "double f(struct p *p, int n) { double s = 0; for (int i = 0; i < n; i++) s += p[i].k % 7 * sqrt(p[i].w); return s; }\\n")
WORK = ("for i in 1 2 3 4 5 6 7 8 9 10; do [ -b /dev/vda ] && break; sleep 0.2; done; mkdir -p /mnt && "
        "mount -t ext4 -o ro /dev/vda /mnt && mount -t tmpfs tmp /mnt/tmp && "
        f"printf %b '{SOURCE}' >/mnt/tmp/f.c && PATH=/usr/bin:/bin chroot /mnt gcc -O2 -c /tmp/f.c -o /tmp/f.o && md5sum </mnt/tmp/f.o")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--emulator", required=True)
    parser.add_argument("--accel", default="lockstep,tier=opt")
    parser.add_argument("--cpu", default="cortex-a72")
    parser.add_argument("--hours", type=float, default=2, help="until this is a failure")
    parser.add_argument("--log", help="write the console here")
    return parser.parse_args()


def run(args, accel, files, image):
    """(what the guest printed for the object code, what the monitor says of units)"""
    with tempfile.TemporaryDirectory() as folder:
        initrd = os.path.join(folder, "initrd")
        guest.make_initrd(initrd, files, modules=programs.MODULES)
        command = [args.emulator, "-M", "virt", "-cpu", args.cpu, "-m", "512", "-nographic", "-accel", accel,
                   "-kernel", files.kernel, "-initrd", initrd,
                   "-append", "console=ttyAMA0 nosoftlockup rcupdate.rcu_cpu_stall_suppress=1",
                   "-drive", f"file={image},if=none,format=raw,readonly=on,id=disk",
                   "-device", "virtio-blk-device,drive=disk"]
        with Console(command, args.log) as console:
            console.expect(guest.PROMPT, args.hours * 3600, PANIC)
            print(f"{accel}: shell after {time.monotonic() - console.started:.0f} s", flush=True)
            output, status = console.shell(WORK, guest.PROMPT, args.hours * 3600)
            if status:
                raise ConsoleError(f"gcc ended with status {status}: {output}")
            print(f"{accel}: gcc done after {time.monotonic() - console.started:.0f} s: {output}", flush=True)
            report = console.monitor("info jit", 60, PANIC)
            console.send("\x01x")
            console.wait(60)
    return output, report


def main():
    args = parse()
    files = guest.for_test("cloud", [args.emulator])
    try:
        image, _ = programs.ensure_image()
    except Failure as err:
        print(f"skip: {err}")
        return 77
    try:
        expected, _ = run(args, "jit,tier=fast", files, image)
        output, report = run(args, args.accel, files, image)
    except ConsoleError as err:
        print(err)
        return 1
    print(report)
    compared = [re.search(what + r" compared +(\d+)", report) for what in ("units", "regions")]
    if output != expected or not compared[0] or ("tier=opt" in args.accel and int(compared[1].group(1)) == 0):
        print(f"the object code differs ({output}, not {expected}), or nothing was compared")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
