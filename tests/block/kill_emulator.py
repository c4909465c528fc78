#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Kills the emulator (SIGKILL) while its guest writes: qemu-img finds the image consistent each time, and all that the guest
was told is flushed is in it.

The guest runs kill_guest.c, which prints the number of each batch of blocks once it is flushed. After a kill the image is
read through qemu-img; each sector must hold what the last batch that was reported left there, or a later batch, which
the kill met. An image is killed several times in a row, each time beginning from what the last left. The images: alone and
over a backing file, which must not change; cache=writeback and none; clusters of several sizes. kill_emulator.py EMULATOR
[--rounds N, or $ISOMER_KILLS] [--seed S]. Exit 77 without a guest, its compiler or qemu-img."""
import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from isotools import guest  # noqa: E402

CC = "aarch64-linux-gnu-gcc"
HERE = os.path.dirname(os.path.abspath(__file__))
PATIENCE = 90 * float(os.environ.get("ISOMER_PATIENCE", "1"))
SIZE, BLOCK, SECTOR, THREADS, BATCH_MAX = 64 << 20, 4096, 512, 5, 8
BLOCKS = SIZE // BLOCK // THREADS  # of each thread
GENERATION = 1 << 32  # batches of one run of the guest
AHEAD = 4096  # batches that may be flushed and not reported yet
# (cache=, over a backing file, options of the image)
IMAGES = [("writeback", False, "cluster_size=64k"), ("none", True, "cluster_size=64k"),
          ("none", False, "cluster_size=4k"), ("writeback", True, "cluster_size=4k,lazy_refcounts=on"),
          ("writethrough", True, "cluster_size=512")]
IN_A_ROW = 2
RUN = """for i in 1 2 3 4 5 6 7 8 9 10; do [ -b /dev/vda ] && break; sleep 0.2; done
exec /bin/kill_guest /dev/vda %d
"""
MASK = (1 << 64) - 1


class Lost(Exception):
    """What the emulator should have kept, or done."""


def mix(x):
    """SplitMix64, as in kill_guest.c."""
    x = (x + 0x9e3779b97f4a7c15) & MASK
    x = ((x ^ x >> 30) * 0xbf58476d1ce4e5b9) & MASK
    x = ((x ^ x >> 27) * 0x94d049bb133111eb) & MASK
    return x ^ x >> 31


def blocks_of(thread, batch):
    chance = mix(thread << 48 ^ batch)
    return [mix((chance + i) & MASK) % BLOCKS * THREADS + thread for i in range(1 + chance % BATCH_MAX)]


def sector_of(thread, block, batch):
    return struct.pack("<QQ", thread << 32 | block, batch) * (SECTOR // 16)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("emulator")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("ISOMER_KILLS", "3")))
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--folder", help="keep the images of a failure here")
    return parser.parse_args()


class Run:
    """One guest that writes, until it is killed. flushed: thread -> the last batch it has reported."""
    def __init__(self, command):
        self.flushed, self.tail, self.begun = {}, [], threading.Event()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            if not line.endswith(b"\n"):
                break  # the kill met it
            words = line.split()
            if len(words) == 3 and words[0] == b"@":
                self.flushed[int(words[1])] = int(words[2])
                if len(self.flushed) == THREADS - 1:
                    self.begun.set()
            else:
                self.tail = self.tail[-20:] + [line.decode(errors="replace")]
        self.begun.set()

    def kill(self, after):
        """Kills it so many seconds after all its threads have begun."""
        self.begun.wait(PATIENCE)
        time.sleep(after)
        self.process.send_signal(signal.SIGKILL)
        status = self.process.wait()
        self.reader.join()
        if status != -signal.SIGKILL or len(self.flushed) < THREADS - 1 or any("@lost" in line for line in self.tail):
            raise Lost(f"status {status}, flushed {self.flushed}; it said:\n{''.join(self.tail)}")


class Image:
    """An image, what must be in it (`held`), and how it was made."""
    def __init__(self, emulator, folder, cache, backed, options):
        self.path, self.base, self.flat = (os.path.join(folder, name) for name in ("image", "base", "flat"))
        self.cache, self.lazy, self.generation = cache, "lazy" in options, 0
        self.held, backing = bytes(SIZE), []
        if backed:
            self.held = b"".join(b"%015d\n" % n for n in range(SIZE // 16))
            backing = ["-b", self.base, "-F", "raw"]
        with open(self.base, "wb") as stream:
            stream.write(self.held)
        self.digest = hashlib.sha256(self.held).digest()
        subprocess.run([emulator, "img", "create", "-q", "-f", "qcow2", "-o", options, *backing, self.path,
                        *([] if backed else [str(SIZE)])], check=True)

    def read(self):
        """Checks the image by qemu-img; what is in it."""
        done = subprocess.run(["qemu-img", "check", "-f", "qcow2", self.path], capture_output=True, text=True, timeout=300)
        if done.returncode not in (0, 3) and not (self.lazy and self._dirty()):  # 3: leaks, which cost space only
            raise Lost(f"qemu-img check: {done.returncode}\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
        subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", self.path, self.flat], check=True)
        with open(self.flat, "rb") as flat, open(self.base, "rb") as base:
            if hashlib.sha256(base.read()).digest() != self.digest:
                raise Lost("the backing file has changed")
            return flat.read()

    def _dirty(self):
        """Whether the header says that counts are late, which whoever opens the image next makes good."""
        info = subprocess.run(["qemu-img", "info", "--output=json", self.path], capture_output=True, text=True, check=True)
        return json.loads(info.stdout).get("dirty-flag", False)

    def can_judge(self, flushed, now):
        """Whether a block that was reported and is as it was before would be noticed."""
        block = blocks_of(0, flushed[0])[0]
        at = block * BLOCK
        try:
            self._compare(flushed, now[:at] + self.held[at:at + BLOCK] + now[at + BLOCK:])
        except Lost:
            return True
        return False

    def judge(self, flushed, now):
        """Compares what is in the image with what was reported; takes it for what the next run begins with."""
        kept = self._compare(flushed, now)
        if not self.generation and not self.can_judge(flushed, now):
            raise Lost("this test would not notice a lost block")
        self.held = now
        self.generation += 1
        return kept

    def _compare(self, flushed, now):
        kept, first = 0, self.generation * GENERATION
        for thread in range(THREADS - 1):
            last, later = {}, {}  # block -> the last reported batch; batches after it
            for batch in range(first, flushed[thread] + 1):
                last.update(dict.fromkeys(blocks_of(thread, batch), batch))
            for batch in range(flushed[thread] + 1, flushed[thread] + AHEAD):
                for block in blocks_of(thread, batch):
                    later.setdefault(block, []).append(batch)
            for block in range(thread, BLOCKS * THREADS, THREADS):
                at = block * BLOCK
                want = sector_of(thread, block, last[block]) * (BLOCK // SECTOR) if block in last else self.held[at:at + BLOCK]
                kept += block in last
                if now[at:at + BLOCK] != want:
                    self._judge_sectors(block, now[at:at + BLOCK], want, {sector_of(thread, block, b) for b in later.get(block, ())})
        return kept

    @staticmethod
    def _judge_sectors(block, now, want, later):
        for at in range(0, BLOCK, SECTOR):
            sector = now[at:at + SECTOR]
            if sector != want[at:at + SECTOR] and sector not in later:
                raise Lost(f"block {block}, byte {at}: {sector[:16].hex()} instead of {want[at:at + 16].hex()}")


def build(folder):
    """The guest's program, as bytes."""
    path = os.path.join(folder, "kill_guest")
    subprocess.run([CC, "-O2", "-Wall", "-Werror", "-static", "-pthread", os.path.join(HERE, "kill_guest.c"), "-o", path],
                   check=True)
    with open(path, "rb") as stream:
        return stream.read()


def one(args, files, folder, image, program, rng):
    """A run and its end. What it reported, as a sentence."""
    initrd = os.path.join(folder, "initrd")
    guest.make_initrd(initrd, files, run=RUN % (image.generation * GENERATION), modules=["virtio_mmio", "virtio_blk"],
                      extra=[("bin/kill_guest", program, 0o755)])
    command = [args.emulator, "-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "256", "-display", "none",
               "-serial", "stdio", "-monitor", "none", "-kernel", files.kernel, "-initrd", initrd,
               "-append", "console=ttyAMA0 quiet",
               "-drive", f"file={image.path},if=none,format=qcow2,id=disk,discard=unmap,cache={image.cache}",
               "-device", "virtio-blk-device,drive=disk"]
    run = Run(command)
    try:
        run.kill(rng.uniform(0, 2))
    finally:
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait()
    kept = image.judge(run.flushed, image.read())
    batches = sum(last + 1 - (image.generation - 1) * GENERATION for last in run.flushed.values())
    return f"{batches} batches were flushed, {kept} blocks of theirs are there"


def main():
    args = parse()
    files = guest.for_test(programs=["qemu-img", CC])
    rng = random.Random(args.seed)
    print(f"seed {args.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        program = build(folder)
        for number in range(args.rounds):
            cache, backed, options = IMAGES[number // IN_A_ROW % len(IMAGES)]
            what = f"kill {number + 1} (cache={cache}, {options}{', backing file' if backed else ''})"
            if number % IN_A_ROW == 0:
                image = Image(args.emulator, folder, cache, backed, options)
            try:
                print(f"{what}: {one(args, files, folder, image, program, rng)}", flush=True)
            except Lost as err:
                print(f"{what}: {err}")
                if args.folder:
                    shutil.copytree(folder, args.folder, dirs_exist_ok=True)
                return 1
    print(f"killed {args.rounds} times, nothing was lost")
    return 0


if __name__ == "__main__":
    sys.exit(main())
