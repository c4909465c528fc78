#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Kills a process that writes to a disk image, again and again: qemu-img finds the image consistent each time, and
what was flushed is there. kill.py ISOMER KILL [--rounds N] [--seed S]. Exit 77 without qemu-img."""
import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

OPTIONS = ["cluster_size=64k", "cluster_size=4k", "cluster_size=512", "cluster_size=4k,lazy_refcounts=on",
           "compat=0.10,cluster_size=4k"]
CONSISTENT = (0, 3)  # 3: leaks, which cost space only


def flushed(log):
    try:
        with open(log, "rb") as stream:
            return any(stream.read(4096 * 8))
    except OSError:
        return False


def one(args, image, log, seed, lazy):
    """A sentence if something was lost, else None."""
    before = os.path.getmtime(log) if os.path.exists(log) else 0
    with subprocess.Popen([args.kill, "write", image, "qcow2", log, str(seed)]) as writer:
        limit = time.monotonic() + 30
        while not flushed(log) and writer.poll() is None and time.monotonic() < limit:
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.5))  # anywhere in its work
        writer.send_signal(signal.SIGKILL)
        if writer.wait() != -signal.SIGKILL:
            return f"the writer ended by itself: {writer.returncode}"
    if not flushed(log):
        return f"nothing was flushed since {before}"
    words = ["qemu-img", "check", "-f", "qcow2", image]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    if lazy and done.returncode not in CONSISTENT:  # late counts are what the mark in the header announces
        info = subprocess.run(["qemu-img", "info", "--output=json", image], capture_output=True, text=True, timeout=60)
        if not json.loads(info.stdout)["dirty-flag"]:
            return "wrong counts without a dirty mark"
    elif done.returncode not in CONSISTENT:
        return f"qemu-img check: {done.returncode}\n{done.stdout[-1500:]}{done.stderr[-1500:]}"
    done = subprocess.run([args.kill, "verify", image, "qcow2", log], capture_output=True, text=True, timeout=120)
    return done.stdout if done.returncode else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("isomer")
    parser.add_argument("kill")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    if not shutil.which("qemu-img"):
        print("skip: there is no qemu-img here")
        return 77
    random.seed(args.seed)
    print(f"seed {args.seed}")
    with tempfile.TemporaryDirectory() as folder:
        image, log = os.path.join(folder, "image"), os.path.join(folder, "log")
        for number in range(args.rounds):
            options = OPTIONS[number % len(OPTIONS)]
            if os.path.exists(log):
                os.unlink(log)
            subprocess.run([args.isomer, "img", "create", "-q", "-f", "qcow2", "-o", options, image, "16M"], check=True)
            for again in range(2):  # the second time with what the first one left behind
                wrong = one(args, image, log, args.seed + 2 * number + again, "lazy" in options)
                if wrong:
                    print(f"round {number}.{again} ({options}): {wrong}")
                    return 1
    print(f"killed {2 * args.rounds} times, nothing was lost")
    return 0


if __name__ == "__main__":
    sys.exit(main())
