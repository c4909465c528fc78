#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs "isomer demo" with one to four CPUs under each engine: the picture is the same, and the machine powers off."""
import re
import subprocess
import sys

PICTURE = 24


def picture(program, cpus, engine):
    done = subprocess.run([program, "demo", "-smp", str(cpus), "-accel", engine, "-serial", "stdio", "-monitor", "none"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=40)
    lines = done.stdout.replace("\r", "").split("\n")
    if done.returncode or not re.match(rf"{cpus} CPU\(s\) took \d+ ms", lines[-2]):
        sys.exit(f"{cpus} CPUs, {engine}: exit status {done.returncode}: {done.stdout} {done.stderr}")
    return lines[-2 - PICTURE:-2]


def main():
    program = sys.argv[1]
    first = picture(program, 1, "interp")
    if sum(line.count("@") for line in first) != 338:
        sys.exit("the picture is wrong:\n" + "\n".join(first))
    for cpus in (1, 2, 4):
        if picture(program, cpus, "jit") != first:
            sys.exit(f"{cpus} CPUs under the JIT draw something else")
    print("every engine draws the same")


if __name__ == "__main__":
    main()
