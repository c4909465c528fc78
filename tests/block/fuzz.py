#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the fuzzer of disk images for some seconds and names the iteration that crashed or hung:
fuzz.py FUZZ [--seconds N] [--seed S]."""
import argparse
import os
import subprocess
import sys
import tempfile
import time


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("fuzz")
    parser.add_argument("--seconds", type=int, default=int(os.environ.get("ISOMER_FUZZ", "10")))
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        done = subprocess.run([args.fuzz, folder, str(args.seed), str(args.seconds)], capture_output=True, text=True,
                              errors="replace", check=False)
        print(done.stdout, done.stderr[-4000:])
        if done.returncode:
            with open(os.path.join(folder, "iteration"), encoding="ascii") as stream:
                print(f"status {done.returncode}: fuzz FOLDER {args.seed} 0 {stream.read().strip()}")
    return 1 if done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
