#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Debugs the demo program's two processors with LLDB: registers and system registers, break- and watchpoints on either
processor, steps, the monitor, detaching; then the program ends as if nothing had been. run_lldb.py EMULATOR. Exit 77
without LLDB or the cross compiler that gives the program its symbols."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BASE = 0x40200000  # where the board puts the image
FLAG = BASE + 0x8000  # what processor 0 writes to let the others go: how many there are
DONE = BASE + 0x8108  # what processor 1 writes at its end; processor 0 waits for that

# command, pattern that its output has to have
TALK = [
    ("register read pc x0", rf"pc = {BASE:#018x} .*x0 = 0x0000000044000000"),
    ("thread list", r"thread #1: .*thread #2: "),
    ("si", rf"frame #0: {BASE + 0x40:#018x} .*`entry"),
    ("register read SCTLR_EL1 CPACR_EL1", r"SCTLR_EL1 = 0x[0-9a-f]{16}\s+CPACR_EL1 = 0x0000000000000000"),
    ("register write x5 0x123456789abcdef0", r""),
    ("register read x5", r"x5 = 0x123456789abcdef0"),
    ("memory read -s8 -fx -c1 " + hex(DONE), r"0x0000000000000000"),
    ("breakpoint set -H -n secondary", r"Breakpoint 1: where = demo.elf`secondary"),
    ("continue", r"stop reason = breakpoint 1\.1"),
    ("thread list", r"\* thread #2: [^\n]*stop reason = breakpoint 1\.1"),
    ("register read x0", r"x0 = 0x0000000000000001"),
    ("si", r"thread #2, .*stop reason = instruction step into"),
    ("register read x19", r"x19 = 0x0000000000000001"),
    ("breakpoint delete -f 1", r""),
    (f"watchpoint set expression -w write -s 8 -- {DONE:#x}", r"Watchpoint created"),
    ("continue", r"thread #2, .*stop reason = watchpoint 1"),
    ("register read CPACR_EL1", r"CPACR_EL1 = 0x0000000000300000"),
    ("memory read -s8 -fx -c1 " + hex(FLAG), r"0x0000000000000002"),
    ("watchpoint delete -f 1", r""),
    ("process plugin packet monitor info cpus", r"CPU #0: on .*CPU #1: on "),
    ("process plugin packet monitor info registers", r"CPU#1\s.*X19=0000000000000001\s.*PC=[0-9a-f]{16}"),
    ("breakpoint set -H -n print", r"Breakpoint 2: "),
    ("continue", r"thread #1, .*stop reason = breakpoint 2\.1"),
    ("breakpoint delete -f 2", r""),
    ("detach", r"Process 1 detached"),
]


def find_lldb():
    return next((path for name in ("lldb-19", "lldb") if (path := shutil.which(name))), None)


def make_symbols(path):
    source = os.path.join(HERE, "..", "..", "control", "demo", "demo.S")
    subprocess.run(["aarch64-linux-gnu-gcc", "-nostdlib", "-static", f"-Wl,-Ttext={BASE:#x}", "-o", path, source], check=True)


def debug(lldb, symbols, socket):
    command = [lldb, "-x", "-b", "-o", f"target create {symbols}", "-o", f"process connect unix-connect://{socket}"]
    for text, _ in TALK:
        command += ["-o", text]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=100, env={**os.environ, "HOME": os.path.dirname(symbols)})
    answers = done.stdout.split("(lldb) ")[3:]
    for (text, wanted), answer in zip(TALK, answers):
        if not answer.startswith(text) or not re.search(wanted, answer[len(text):], re.S):
            return f"'{text}' was answered\n{answer}\ninstead of {wanted}"
    return None if len(answers) == len(TALK) else f"LLDB ended early:\n{done.stdout[-2000:]}"


def main():
    lldb = find_lldb()
    if not lldb or not shutil.which("aarch64-linux-gnu-gcc"):
        print("skip: no LLDB or no cross compiler")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        symbols, socket = os.path.join(folder, "demo.elf"), os.path.join(folder, "gdb")
        make_symbols(symbols)
        with subprocess.Popen([sys.argv[1], "demo", "-S", "-gdb", f"unix:{socket},server,nowait"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True) as process:
            try:
                deadline = time.monotonic() + 20
                while not os.path.exists(socket) and time.monotonic() < deadline:
                    time.sleep(0.02)
                fault = debug(lldb, symbols, socket)
                text, _ = process.communicate(timeout=20)
            except subprocess.TimeoutExpired as err:
                fault, text = str(err), ""
            finally:
                process.kill()
        if not fault and (process.returncode or "2 CPU(s) took" not in text):
            fault = f"afterwards the program ended with {process.returncode}: {text[-200:]}"
    print(fault or "LLDB finds its way")
    return 1 if fault else 0


if __name__ == "__main__":
    sys.exit(main())
