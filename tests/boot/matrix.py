#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots every combination of kernel, processor, interrupt controller, KPTI and end, and prints a table.

Each row is a run of run_boot.py, which checks in the guest that it got what it asked for. --pairs takes few rows in
which every two values of two columns still meet. What a column may hold can be narrowed: --cpu cortex-a53,cortex-a57.
Fails when a row fails; the consoles of failed rows stay below --logs."""
import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time

AXES = {
    "kernel": ["cloud", "generic"],
    "cpu": ["cortex-a53", "cortex-a57", "cortex-a72"],
    "gic": ["2", "3"],
    "kpti": ["on", "off"],
    "end": ["poweroff", "reboot"],
    "smp": ["1"],
}


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--emulator", required=True)
    for axis, values in AXES.items():
        parser.add_argument(f"--{axis}", default=",".join(values), help=f"default: {','.join(values)}")
    parser.add_argument("--pairs", action="store_true", help="a few rows that hold every pair of values")
    parser.add_argument("--repeat", type=int, default=1, help="run each row so often")
    parser.add_argument("--jobs", type=int, default=1, help="rows at a time")
    parser.add_argument("--logs", help="folder for the consoles of failed rows (default: a new one)")
    parser.add_argument("--plan", action="store_true", help="print the rows and end")
    parser.add_argument("extra", nargs="*", help="further options for run_boot.py, after --")
    return parser.parse_args()


def pairs_of(row):
    return set(itertools.combinations(enumerate(row), 2))


def covering(rows):
    """A greedy choice of rows that holds every pair of values some row has."""
    missing, chosen = set().union(*map(pairs_of, rows)), []
    while missing:
        best = max(rows, key=lambda row: len(pairs_of(row) & missing))
        chosen.append(best)
        missing -= pairs_of(best)
    return chosen


def start(args, row, log):
    command = [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "run_boot.py"),
               "--emulator", args.emulator, "--log", log]
    for axis, value in zip(AXES, row):
        command += [f"--{axis}", value]
    return subprocess.Popen(command + args.extra, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)


class Run:
    """One row under way."""
    def __init__(self, args, number, row):
        self.row, self.log = row, os.path.join(args.logs, f"{number:03}-{'-'.join(row)}.log")
        self.started, self.process = time.monotonic(), start(args, row, self.log)

    def finish(self):
        """(verdict, text of the table's line, what the worker said)"""
        said = self.process.communicate()[0]
        status = self.process.returncode
        verdict = {0: "ok", 77: "skip"}.get(status, "FAILED")
        boot = said.split("userspace after ")[-1].split(" s,")[0] if "userspace after" in said else "-"
        if status == 0:
            os.unlink(self.log)
        cells = [f"{value:<{width(axis)}}" for axis, value in zip(AXES, self.row)]
        return verdict, f"{'  '.join(cells)}  {boot:>9}  {time.monotonic() - self.started:>5.1f}  {verdict}", said


def width(axis):
    return max(len(axis), *map(len, AXES[axis]))


def run(args, rows):
    tally, fault_texts, under_way = {"ok": 0, "skip": 0, "FAILED": 0}, [], []
    print("  ".join(f"{axis:<{width(axis)}}" for axis in AXES) + "  userspace  whole  result", flush=True)

    def take():
        first = under_way.pop(0)
        verdict, line, said = first.finish()
        tally[verdict] += 1
        print(line, flush=True)
        if verdict == "FAILED":
            fault_texts.append(f"\n{' '.join(first.row)}: {first.log}\n{said}")
            print(fault_texts[-1], flush=True)
        elif verdict == "skip":
            print(said, flush=True)

    for number, row in enumerate(rows):
        if len(under_way) == args.jobs:
            take()
        under_way.append(Run(args, number, row))
    while under_way:
        take()
    print(f"{len(rows)} boots: {tally['ok']} ok, {tally['FAILED']} failed, {tally['skip']} skipped")
    if tally["FAILED"]:
        return 1
    return 77 if tally["skip"] == len(rows) else 0


def main():
    args = parse()
    rows = list(itertools.product(*(getattr(args, axis).split(",") for axis in AXES)))
    rows = (covering(rows) if args.pairs else rows) * args.repeat
    if args.plan:
        print("\n".join("  ".join(row) for row in rows))
        return 0
    if args.logs:
        os.makedirs(args.logs, exist_ok=True)
    else:
        args.logs = tempfile.mkdtemp(prefix="isomer-matrix-")
    try:
        return run(args, rows)
    finally:
        if not os.listdir(args.logs):
            os.rmdir(args.logs)


if __name__ == "__main__":
    sys.exit(main())
