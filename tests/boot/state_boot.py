#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A guest under work is saved and restored into new processes again and again, and finishes its work right.

Two processors compute checksums while the machine moves: by a file, a command, a socket; compressed and not; from the
compiler to the interpreter and back. What the guest computed is compared with what the host computes, its kernel must have
complained of nothing, and its clock must have gone on: neither back, nor by the time that passed between the
processes. A machine that was only loaded and saved again gives the same file, so every device's state comes back.
state_boot.py EMULATOR GIC [OPTIONS...]. Exit 77 where there is no guest."""
import hashlib
import os
import re
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from isotools import guest  # noqa: E402
from isotools.console import Console, ConsoleError  # noqa: E402

PATIENCE = 60 * float(os.environ.get("ISOMER_PATIENCE", "1"))
COMPLAINTS = "BUG:|WARNING:|Oops|rcu.*(stall|detected)|soft lockup|Unexpected|irq .*nobody cared"
LINES = 2048
# Each worker makes a chain of sums until a line is typed: an error anywhere changes its end.
WORK = f"""work() {{
    sum=$1; n=0
    while [ ! -e /tmp/stop ]; do
        sum=$( (echo $sum; cat /tmp/data) | sha256sum | cut -c1-64)
        n=$((n+1))
        echo "@step $1 $n"
    done
    echo "@sum $1 $n $sum"
}}
i=0; while [ $i -lt {LINES} ]; do echo "line $i of the data"; i=$((i+1)); done >/tmp/data
work one & work two &
read line
touch /tmp/stop
wait
echo "@up $(cut -d. -f1 /proc/uptime)"
echo "@complaints $(dmesg | grep -cE '{COMPLAINTS}')"
"""


def wanted(seed, rounds):
    data = "".join(f"line {i} of the data\n" for i in range(LINES)).encode()
    total = seed
    for _ in range(rounds):
        total = hashlib.sha256(total.encode() + b"\n" + data).hexdigest()
    return total


class Machine:
    """A machine's console; it ends when it has been sent away."""
    def __init__(self, emulator, options, accel, incoming=None):
        self.console = Console([emulator, "-cpu", "cortex-a72", "-smp", "2", "-m", "256", "-nographic", "-accel", accel,
                                *options, *(["-incoming", incoming] if incoming else [])])

    def move(self, uri):
        said = self.console.monitor(f"migrate {uri}", PATIENCE)
        said += self.console.monitor("info migrate", PATIENCE)
        if "Migration status: completed" not in said:
            raise ConsoleError(f"'migrate {uri}' ended with\n{said}")
        return said

    def end(self):
        self.console.send("\x01x")
        self.console.wait(10)
        text = self.console.text()
        self.console.close()
        return text


def check_same(emulator, options, machine, folder):
    """Stops the machine, sends it to a file, from there through another process to a second file, and on."""
    files = [os.path.join(folder, name) for name in ("first", "second")]
    machine.console.monitor("stop", PATIENCE)
    machine.move(f"file:{files[0]}")
    copy = Machine(emulator, options, "interp", f"file:{files[0]}")
    deadline = time.monotonic() + PATIENCE
    while "Error" in copy.console.monitor(f"migrate file:{files[1]}", PATIENCE):  # while it is not there yet
        if time.monotonic() > deadline:
            raise ConsoleError("the machine does not arrive")
    copy.end()
    with open(files[0], "rb") as first, open(files[1], "rb") as second:
        if first.read() != second.read():
            raise ConsoleError("a machine that was loaded and saved again differs")
    machine.console.monitor("cont", PATIENCE)


def steps(folder):
    """(accelerator, where the state comes from, where it goes, monitor commands before)."""
    state = os.path.join(folder, "state")
    zlib = ["migrate_set_parameter multifd-compression zlib"]
    return [("jit", None, f"file:{state}1", []),
            ("interp", f"file:{state}1", f"exec:cat >{state}2", zlib),
            ("jit", f"exec:cat {state}2", f"unix:{state}.socket", []),
            ("jit", f"unix:{state}.socket", f"file:{state}3", zlib),
            ("jit,tier=fast", f"file:{state}3", None, [])]


def chain(emulator, options, folder):
    """Runs the machine through all steps; returns everything that its guest said."""
    said, machine, plan = "", None, steps(folder)
    for n, (accel, source, goes_to, commands) in enumerate(plan):
        socket = source and source.startswith("unix:")
        if socket:  # the receiver listens before the sender goes
            receiver = Machine(emulator, options, accel, source)
            deadline = time.monotonic() + PATIENCE
            while not os.path.exists(source[5:]) and time.monotonic() < deadline:
                time.sleep(0.01)
            machine.move(source)
        else:
            if machine:
                machine.move(plan[n - 1][2])
            receiver = Machine(emulator, options, accel, source)
        said += machine.end() if machine else ""
        machine = receiver
        for command in commands:
            machine.console.monitor(command, PATIENCE)
        for seed in ("one", "two", "one"):  # some of the work is done here
            machine.console.expect(f"@step {seed}", PATIENCE)
        if goes_to and goes_to.startswith("unix:"):
            check_same(emulator, options, machine, folder)
    machine.console.send("\r")
    machine.console.expect(r"@complaints \d+\r", 3 * PATIENCE)
    status = machine.console.wait(PATIENCE)
    said += machine.console.text()
    machine.console.close()
    if status:
        raise ConsoleError(f"the last machine ended with status {status}")
    return said


def check(said, took):
    faults = []
    for seed in ("one", "two"):
        found = re.search(rf"@sum {seed} (\d+) (\w+)", said)
        if not found or found.group(2) != wanted(seed, int(found.group(1))):
            faults.append(f"the sum of '{seed}' is wrong or missing")
    up = re.search(r"@up (\d+)", said)
    if not up or int(up.group(1)) > took + 1:
        faults.append(f"the guest's clock says {up and up.group(1)} s, {took:.0f} s have passed")
    if "@complaints 0" not in said:
        faults.append("the kernel complained")
    return faults


def main():
    files = guest.for_test()
    with tempfile.TemporaryDirectory() as folder:
        initrd = os.path.join(folder, "initrd")
        guest.make_initrd(initrd, files, run=WORK)
        options = ["-M", f"virt,gic-version={sys.argv[2]}", "-kernel", files.kernel, "-initrd", initrd, "-append", "console=ttyAMA0 quiet nokaslr",
                   "-sandbox", "off", *sys.argv[3:]]  # since exec: starts programs
        started, said = time.monotonic(), ""
        try:
            said = chain(sys.argv[1], options, folder)
            faults = check(said, time.monotonic() - started)
        except ConsoleError as err:
            faults = [str(err)]
    if faults:
        print(said[-3000:])
    print("\n".join(faults) or "the guest moved four times and finished its work")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
