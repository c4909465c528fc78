#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Debugs a booting and a booted Debian kernel with GDB: from the first instruction, through a reset, breakpoints and
watchpoints in a system call, physical memory, Ctrl-C, detaching; then the guest works on and
powers off. Exit 77 where GDB, the guest or the emulator cannot be had."""
import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from isotools import guest  # noqa: E402
from isotools.console import Console, ConsoleError  # noqa: E402

LOAD = 0x40200000  # where the board puts the kernel's image
TEXT = 0xffff800008000000  # where the kernel maps it, without address randomisation
UNAME = "__arm64_sys_newuname"


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--emulator", required=True)
    parser.add_argument("--gdb", default="gdb-multiarch")
    parser.add_argument("--accel", help="passed on as -accel")
    parser.add_argument("--smp", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=90, help="seconds for each step")
    parser.add_argument("--verbose", action="store_true", help="print GDB's sessions")
    return parser.parse_args()


class Session:
    """One run of GDB over a list of commands. `say` makes a line the checks can find; `@interrupt` in the output makes
    the session send GDB a Ctrl-C a moment later."""
    def __init__(self, args, socket, faults):
        self.args, self.socket, self.faults, self.commands, self.output = args, socket, faults, [], ""

    def do(self, *commands):
        self.commands += commands

    def say(self, name, expression):
        self.commands.append(f'printf "@{name} %lx\\n", (unsigned long)({expression})')

    def run(self):
        command = [self.args.gdb, "-q", "-nx", "-batch", "-ex", "set pagination off", "-ex", "set confirm off",
                   "-ex", "set architecture aarch64", "-ex", f"target remote {self.socket}"]
        for text in self.commands:
            command += ["-ex", text]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True)
        watchdog = threading.Timer(self.args.timeout, process.kill)
        watchdog.start()
        for line in process.stdout:
            self.output += line
            if line.startswith("@interrupt"):
                threading.Timer(1, process.send_signal, (signal.SIGINT,)).start()
        process.wait()
        watchdog.cancel()
        if self.args.verbose:
            print(self.output)
        if process.returncode < 0:
            self.faults.append("GDB did not end in time")

    def same(self, name, wanted):
        found = re.search(rf"^@{name} ([0-9a-f]+)$", self.output, re.M)
        got = int(found.group(1), 16) if found else None
        if got != wanted:
            self.faults.append(f"{name}: {'nothing' if got is None else hex(got)} instead of {wanted:#x}")

    def shows(self, pattern):
        if not re.search(pattern, self.output, re.M | re.S):
            self.faults.append(f"GDB printed no '{pattern}'")


def from_reset(session):
    """The first instructions, registers both ways, a reset by the monitor, a breakpoint, and the boot goes on."""
    session.say("entry", "$pc")
    session.say("magic", "*(unsigned short *)$pc")
    session.say("dtb", "*(unsigned *)$x0")
    session.do("stepi")
    session.say("stepped", "$pc")
    session.do("stepi")
    session.say("branched", f"$pc > {LOAD + 4}")
    session.do("set var $x5 = 0x123456789abcdef0", "set var $v3.d.u[1] = 0x1122334455667788",
               "set var *(unsigned long *)0x40000000 = 0x5555aaaa", "maintenance flush register-cache")
    session.say("x5", "$x5")
    session.say("v3", "$v3.d.u[1]")
    session.say("memory", "*(unsigned long *)0x40000000")
    session.say("mmu", "$SCTLR_EL1 & 1")
    session.do("monitor system_reset", "maintenance flush register-cache")
    session.say("reset", "$pc")
    session.say("reset_x5", "$x5")
    session.do(f"hbreak *{LOAD + 4:#x}", "continue")
    session.say("broke", "$pc")
    session.do("monitor info status", "info threads", "delete", "detach")
    session.run()
    session.same("entry", LOAD)
    session.same("magic", 0x5a4d)
    session.same("dtb", 0xedfe0dd0)
    session.same("stepped", LOAD + 4)
    session.same("branched", 1)
    session.same("x5", 0x123456789abcdef0)
    session.same("v3", 0x1122334455667788)
    session.same("memory", 0x5555aaaa)
    session.same("mmu", 0)
    session.same("reset", LOAD)
    session.same("reset_x5", 0)
    session.same("broke", LOAD + 4)
    session.shows("VM status: paused")
    session.shows(r"CPU#0 \[on\]")
    if session.args.smp > 1:
        session.shows(r"CPU#1 \[off\]")


def at_work(session, uname):
    """The kernel runs on all processors and something in it calls uname all the time: its argument is a frame of user
    registers, the first of which points to the user's buffer."""
    session.do(f"break *{uname:#x}", "continue")
    session.say("uname", "$pc")
    session.say("kernel", "($cpsr >> 2) & 3")
    session.do("stepi")
    session.say("stepped", "$pc")
    session.do("continue")
    session.say("again", "$pc")
    session.say("virtual", f"*(unsigned long *){uname:#x}")
    session.do("delete", "rwatch -l *(unsigned long *)$x0", "set $buffer = *(unsigned long *)$x0", "continue")
    session.do("delete", "set var *(unsigned char *)$buffer = '!'", "watch -l *(unsigned char *)$buffer", "continue")
    session.say("letter", "*(unsigned char *)$buffer")
    session.do("delete", "maintenance packet Qqemu.PhyMemMode:1", "maintenance flush dcache")
    session.say("physical", f"*(unsigned long *){uname - TEXT + LOAD:#x}")
    session.do("maintenance packet Qqemu.PhyMemMode:0", "maintenance flush dcache")
    session.do('printf "@interrupt\\n"', "continue", "info threads", "detach")
    session.run()
    session.same("uname", uname)
    session.same("kernel", 1)
    session.same("stepped", uname + 4)
    session.same("again", uname)
    session.shows(r"Hardware read watchpoint 2: .*Value = \d+")
    session.shows(r"Hardware watchpoint 3: .*Old value = 33 '!'\s*New value = 76 'L'")
    session.same("letter", ord("L"))
    found = re.search(r"^@virtual ([0-9a-f]+)$", session.output, re.M)
    session.same("physical", int(found.group(1), 16) if found else 1)
    session.shows("SIGINT")
    session.shows(rf"CPU#{session.args.smp - 1} \[on\]")


def debug(args, command, socket):
    faults = []
    with Console(command) as console:
        deadline = time.monotonic() + 20
        while not os.path.exists(socket) and time.monotonic() < deadline:
            time.sleep(0.05)
        from_reset(Session(args, socket, faults))
        console.expect("ISOMER-MARK userspace", args.timeout)
        console.expect(guest.PROMPT, args.timeout)
        text, _ = console.shell(f"grep ' {UNAME}$' /proc/kallsyms", guest.PROMPT, args.timeout)
        console.shell("{ while :; do uname -r >/dev/null; done & }", guest.PROMPT, args.timeout)
        at_work(Session(args, socket, faults), int(text.split()[0], 16))
        got, _ = console.shell("kill $!; echo works on", guest.PROMPT, args.timeout)
        if "works on" not in got:
            faults.append(f"after detaching, the shell said '{got}'")
        console.send("poweroff -f\r")
        status = console.wait(args.timeout)
        if status != 0:
            faults.append(f"exit status {status} after poweroff")
    return faults


def main():
    args = parse()
    files = guest.for_test(programs=[args.emulator, args.gdb])
    with tempfile.TemporaryDirectory() as folder:
        initrd, socket = os.path.join(folder, "initrd.gz"), os.path.join(folder, "gdb")
        guest.make_initrd(initrd, files)
        command = [args.emulator, "-M", "virt", "-cpu", "cortex-a72", "-smp", str(args.smp), "-m", "512", "-nographic",
                   "-kernel", files.kernel, "-initrd", initrd, "-append", "console=ttyAMA0 nokaslr", "-S",
                   "-gdb", f"unix:{socket},server,nowait"]
        if args.accel:
            command += ["-accel", args.accel]
        try:
            faults = debug(args, command, socket)
        except ConsoleError as err:
            faults = [str(err)]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
