#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots Debian's kernel on many processors, takes some offline and online again, and looks that they work.
smp_boot.py EMULATOR GIC SMP [OPTIONS...]. With a GICv3 each processor must also have set up its LPIs at the ITS. Exit 77
where there is no guest."""
import os
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from isotools import guest  # noqa: E402

# A processor that works runs a task bound to it, which sleeps by its timer, and hears from the others.
SCRIPT = """cpus=/sys/devices/system/cpu
echo "@online $(cat $cpus/online)"
echo "@its $(dmesg | grep -c 'CPU[0-9]*: using allocated LPI pending table') $(dmesg | grep -c 'ITS@.*allocated')"
works() { taskset $(printf '%x' $((1 << $1))) sh -c 'usleep 1000; cut -d" " -f39 /proc/self/stat'; }
for c in LIST; do echo 0 > $cpus/cpu$c/online; done
echo "@less $(cat $cpus/online)"
echo "@gone $(taskset $(printf '%x' $((1 << ONE))) true 2>&1 | grep -c 'Invalid argument')"
for c in LIST; do echo 1 > $cpus/cpu$c/online; done
echo "@again $(cat $cpus/online)"
echo "@ran $(for c in LIST; do works $c; done | tr '\\n' ' ')"
echo 0 > $cpus/cpuONE/online; echo 1 > $cpus/cpuONE/online
echo "@ran again $(works ONE)"
echo "@complaints $(dmesg | grep -cE 'BUG:|WARNING:|rcu.*(stall|detected)|soft lockup|psci: .*fail|failed to')"
dmesg | grep -E 'BUG:|WARNING:|rcu.*(stall|detected)|soft lockup|psci: .*fail|failed to'
"""


def ranges(numbers):
    """As the kernel writes a list of processors: 0,2-5."""
    text, numbers = [], sorted(numbers)
    while numbers:
        n = 1
        while n < len(numbers) and numbers[n] == numbers[0] + n:
            n += 1
        text.append(f"{numbers[0]}" if n == 1 else f"{numbers[0]}-{numbers[n - 1]}")
        numbers = numbers[n:]
    return ",".join(text)


def boot(emulator, gic, smp, options, folder):
    chosen = sorted({1, 2, smp // 2, smp - 1} - {0})
    script, initrd = os.path.join(folder, "run"), os.path.join(folder, "initrd")
    with open(script, "w", encoding="utf-8") as stream:
        stream.write(SCRIPT.replace("LIST", " ".join(map(str, chosen))).replace("ONE", str(smp - 1)))
    tool = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "guest-image")
    made = subprocess.run([tool, "--run", script, "--output", initrd], check=True, capture_output=True, text=True).stdout
    kernel = next(line.split(" ", 1)[1] for line in made.splitlines() if line.startswith("kernel "))
    started = time.monotonic()
    done = subprocess.run(
        [emulator, "-M", f"virt,gic-version={gic}", "-cpu", "cortex-a72", "-m", "1024", "-smp", str(smp), "-nographic",
         "-kernel", kernel, "-initrd", initrd, "-append", "console=ttyAMA0 quiet", *options],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
        timeout=200 * float(os.environ.get("ISOMER_PATIENCE", "1")))
    print(f"{time.monotonic() - started:.1f} s")
    everyone = ranges(range(smp))
    wanted = {"online": everyone, "its": f"{smp} 2" if gic == "3" else "0 0", "less": ranges(set(range(smp)) - set(chosen)),
              "gone": "1", "again": everyone, "ran": " ".join(map(str, chosen)), "ran again": str(smp - 1), "complaints": "0"}
    said = {}
    for name in wanted:
        found = re.search(rf"^@{name} (.*?)\s*$", done.stdout, re.M)
        said[name] = found.group(1) if found else None
    faults = [f"{k}: wanted '{v}', got '{said[k]}'" for k, v in wanted.items() if said[k] != v]
    if done.returncode:
        faults.append(f"exit status {done.returncode}")
    if faults:
        print(done.stdout[-3000:], done.stderr)
    return faults


def main():
    guest.for_test()
    emulator, gic, smp = sys.argv[1:4]
    with tempfile.TemporaryDirectory() as folder:
        faults = boot(emulator, gic, int(smp), sys.argv[4:], folder)
    print("\n".join(faults) or "every processor came, went, came back and worked")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
