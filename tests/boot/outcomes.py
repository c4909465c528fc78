#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How a run ends, as the exit status tells it: Debian's kernel without a root file system panics, and what comes of
that is the command line's choice. outcomes.py EMULATOR. Exit 77 where there is no guest."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from isotools import guest  # noqa: E402

# kernel arguments, options, exit status, text of standard error; SILENCE is how long a guest that boots slowly may say
# nothing
PATIENCE = float(os.environ.get("ISOMER_PATIENCE", "1"))
SILENCE = str(round(4 * PATIENCE))
ROWS = [
    ("panic=-1", ["-no-reboot"], 3, ""),
    ("panic=-1", ["-action", "reboot=shutdown"], 3, ""),
    ("panic=0", ["-action", "panic=exit-failure"], 3, ""),
    ("panic=0", ["-watchdog-timeout", SILENCE], 3, f"the guest has written nothing for {SILENCE} s"),
    ("nosuchconsole console=null quiet", ["-watchdog-timeout", "2"], 4, "the guest has written nothing for 2 s"),
]


def main():
    emulator = sys.argv[1]
    kernel = guest.for_test().kernel
    patience = 60 * PATIENCE
    faults = 0
    for arguments, options, wanted, text in ROWS:
        console = "" if "console=" in arguments else "console=ttyAMA0 "
        done = subprocess.run([emulator, "-M", "virt", "-cpu", "cortex-a72", "-m", "256", "-nographic", "-kernel",
                               kernel, "-append", console + arguments, *options], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, errors="replace", timeout=patience)
        good = done.returncode == wanted and text in done.stderr
        print(f"{'ok' if good else 'WRONG'}: {arguments} {' '.join(options)}: status {done.returncode}, wanted {wanted}")
        if not good:
            faults += 1
            print(done.stdout[-500:], done.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
