#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots Debian's ARM64 kernel in an emulator, works at its shell through a terminal, and ends the machine.

Checked: the userspace mark comes in time; the processors, interrupt controller and KPTI state are what the
command line asked for; the kernel complains about nothing; job control works (so the console's input
interrupts do); an optimising tier that was asked for made regions; and the emulator's exit status follows the
way the guest ended. Exit 77 where the guest or the
emulator cannot be had."""
import argparse
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from isotools import guest  # noqa: E402
from isotools.console import Console, ConsoleError  # noqa: E402

PANIC = r"Kernel panic|Internal error: Oops|Unable to handle kernel|Attempted to kill init"
# MIDR's part numbers of the processors a board can be given.
PARTS = {"cortex-a53": "0xd03", "cortex-a57": "0xd07", "cortex-a72": "0xd08"}
COMPLAINTS = r"BUG:|WARNING:|Oops|rcu.*(stall|detected)|soft lockup|hung_task|Unexpected|irq .*nobody cared"


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--emulator", required=True)
    parser.add_argument("--kernel", default="cloud", choices=sorted(guest.KERNELS))
    parser.add_argument("--cpu", default="cortex-a72")
    parser.add_argument("--gic", default="2", choices=("2", "3"))
    parser.add_argument("--smp", type=int, default=1)
    parser.add_argument("--memory", default="512")
    parser.add_argument("--kpti", default="on", choices=("on", "off"),
                        help="on: what Linux does when the board gives it a kaslr-seed; off: nokaslr")
    parser.add_argument("--accel", help="passed on as -accel")
    parser.add_argument("--append", default="", help="further arguments of the kernel")
    parser.add_argument("--end", default="poweroff", choices=("poweroff", "reboot", "again", "key"),
                        help="poweroff; reboot under -no-reboot; reboot and boot again; Ctrl-A x")
    parser.add_argument("--expect-marker", action="append", default=[], metavar="REGEX",
                        help="must stand in the boot's messages, in this order; may be repeated")
    parser.add_argument("--timeout", type=float, default=60, help="seconds until userspace")
    parser.add_argument("--log", help="write the console here")
    parser.add_argument("extra", nargs="*", help="further options for the emulator, after --")
    return parser.parse_args()


def command_line(args, files, initrd):
    append = "console=ttyAMA0" + (" nokaslr" if args.kpti == "off" else "") + f" {args.append}"
    command = [args.emulator, "-M", f"virt,gic-version={args.gic}", "-cpu", args.cpu, "-smp", str(args.smp),
               "-m", args.memory, "-nographic", "-kernel", files.kernel, "-initrd", initrd, "-append", append]
    if args.accel:
        command += ["-accel", args.accel]
    if args.end == "reboot":
        command += ["-no-reboot"]
    return command + args.extra


class Checks:
    """Runs commands in the guest and collects what differs from expectation."""
    def __init__(self, console, patience):
        self.console, self.patience, self.faults = console, patience, []

    def same(self, what, command, wanted):
        got, _ = self.console.shell(command, guest.PROMPT, self.patience)
        if got != wanted:
            self.faults.append(f"{what}: '{command}' printed '{got}', wanted '{wanted}'")

    def job_control(self):
        """Ctrl-C ends the foreground job, Ctrl-Z stops it, the shell stays. What says that the job runs is the job: one
        stopped while it is still a copy of the shell ignores SIGTERM as the shell does."""
        for key, status in (("\x03", "130"), ("\x1a", "148")):
            self.console.send("sh -c 'echo @\"go\"; exec sleep 60'\r")
            self.console.expect("@go", self.patience)
            self.console.send(key)
            self.console.expect(guest.PROMPT, self.patience)
            self.console.send("s=$?\r")
            self.console.expect(guest.PROMPT, self.patience)
            self.same("job control", "echo $s", status)
        self.same("job control", "kill %1; fg >/dev/null 2>&1; jobs | wc -l", "0")


def inside(console, args, patience):
    console.expect(guest.PROMPT, patience)
    checks = Checks(console, patience)
    checks.same("machine", "uname -m", "aarch64")
    if args.cpu in PARTS:
        checks.same("processor", "sed -n 's/^CPU part.*: //p' /proc/cpuinfo | sort -u", PARTS[args.cpu])
    checks.same("processors", "nproc", str(args.smp))
    checks.same("processors online", "cat /sys/devices/system/cpu/online",
                "0" if args.smp == 1 else f"0-{args.smp - 1}")
    checks.same("interrupt controller", "dmesg | grep -q GICv3: && echo 3 || echo 2", args.gic)
    checks.same("KPTI", "dmesg | grep -q 'detected: Kernel page table isolation' && echo on || echo off", args.kpti)
    checks.same("long line", "echo " + "0123456789abcdef" * 12 + " | md5sum | cut -c1-8", "a458718c")
    checks.same("complaints", f"dmesg | grep -E '{COMPLAINTS}'", "")
    if args.smp > 1:
        where = "taskset $((1 << c)) sh -c 'cut -d\" \" -f39 /proc/self/stat'"
        checks.same("every processor runs", f"for c in $(seq 0 {args.smp - 1}); do {where}; done | tr '\\n' ' '",
                    " ".join(map(str, range(args.smp))))
    checks.job_control()
    return checks.faults


def check_regions(console, args, patience):
    """Whether the tier of --accel did anything, by the monitor."""
    if not re.search(r"tier=(opt|auto)", args.accel or ""):
        return []
    said = [line for line in console.monitor("info jit", patience, PANIC).splitlines() if line.startswith("regions")]
    console.send("\r")
    console.expect(guest.PROMPT, patience, PANIC)
    print("\n".join(said))
    made = re.match(r"regions: (\d+) made", said[0]) if said else None
    return [] if made and int(made.group(1)) else ["no regions were made"]


def end(console, args, patience):
    """Ends the machine and returns its exit status."""
    if args.end == "key":
        console.send("\x01x")
    elif args.end == "poweroff":
        console.send("poweroff -f\r")
    else:
        console.send("reboot -f\r")
        if args.end == "again":
            console.expect("ISOMER-MARK userspace", args.timeout, PANIC)
            console.expect(guest.PROMPT, patience)
            console.send("poweroff -f\r")
    return console.wait(patience)


def main():
    args = parse()
    files = guest.for_test(args.kernel, [args.emulator])
    initrd = os.path.join(guest.cache_dir(), "guest", f"initrd-boot-{os.getpid()}.gz")
    guest.make_initrd(initrd, files)
    args.timeout *= float(os.environ.get("ISOMER_PATIENCE", "1"))  # sanitizer builds are slow
    patience = max(20, args.timeout / 2)
    try:
        with Console(command_line(args, files, initrd), args.log) as console:
            for marker in args.expect_marker:
                console.expect(marker, args.timeout, PANIC)
            match, when = console.expect(r"ISOMER-MARK userspace (\S+)\r*\n", args.timeout, PANIC)
            print(f"userspace after {when - console.started:.2f} s, guest says {match.group(1).decode()} s")
            faults = inside(console, args, patience) + check_regions(console, args, patience)
            status = end(console, args, patience)
            if status != 0:
                faults.append(f"exit status {status} after '{args.end}', wanted 0")
            for fault in faults:
                print(fault)
            if faults:
                print(console.tail(15))
            return 1 if faults else 0
    except ConsoleError as err:
        print(err)
        return 1
    finally:
        os.unlink(initrd)


if __name__ == "__main__":
    sys.exit(main())
