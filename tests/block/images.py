#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Images that the library wrote, judged by qemu-img, and images that qemu-img wrote, read by us:
images.py ISOMER STREAM [--count N] [--seed S] [--only WORD]. Exit 77 without qemu-img."""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

SIZE = 3 << 20
KINDS = ["cluster_size=64k", "cluster_size=512", "cluster_size=4k,refcount_bits=1", "cluster_size=4k,refcount_bits=64",
         "compat=0.10,cluster_size=4k", "cluster_size=2M", "compression_type=zstd,cluster_size=8k",
         "lazy_refcounts=on,cluster_size=4k"]


class Failed(Exception):
    pass


def run(*words, ok=(0,)):
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=120)
    if done.returncode not in ok:
        raise Failed(f"{' '.join(words)}: status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def pattern(path, size, seed):
    """Text, noise and holes, so that clusters of every sort come about."""
    with open(path, "wb") as stream:
        for at in range(0, size, 65536):
            sort = (at // 65536 * 7 + seed) % 5
            part = min(65536, size - at)
            if sort == 0:
                stream.write(os.urandom(part))
            elif sort < 3:
                stream.write((b"line %d of the pattern\n" % at * 4000)[:part])
            else:
                stream.seek(part, os.SEEK_CUR)
        stream.truncate(size)


class Case:
    def __init__(self, args, folder):
        self.img, self.stream, self.folder = [args.isomer, "img"], args.stream, folder
        self.count, self.seed = args.count, args.seed

    def path(self, name):
        return os.path.join(self.folder, name)

    def same(self, image, image_format, raw):
        """Both judge: qemu-img's comparison, and what we convert to."""
        run("qemu-img", "compare", "-f", image_format, "-F", "raw", image, raw)
        out = self.path("flat")
        run(*self.img, "convert", "-f", image_format, "-O", "raw", image, out)
        run("qemu-img", "compare", "-f", "raw", "-F", "raw", out, raw)

    def both_check(self, image):
        run("qemu-img", "check", "-f", "qcow2", image)
        run(*self.img, "check", "-f", "qcow2", image)

    def random(self, options, maker, backing=False, snapshots=False):
        image, model = self.path("image"), self.path("model")
        base = []
        if backing:
            pattern(self.path("base"), SIZE - 100 * 512, 1)
            base = ["-b", self.path("base"), "-F", "raw"]
            shutil.copy(self.path("base"), model)
        else:
            open(model, "wb").close()
        os.truncate(model, SIZE)
        run(*maker, "create", "-q", "-f", "qcow2", "-o", options, *base, image, str(SIZE))
        run(self.stream, image, model, str(self.seed), str(self.count), *(["snapshots"] if snapshots else []))
        self.both_check(image)
        self.same(image, "qcow2", model)

    def convert(self, options, packed):
        raw, ours, theirs = self.path("raw"), self.path("ours"), self.path("theirs")
        pattern(raw, SIZE + 512 * 5, 2)
        pack = ["-c"] if packed else []
        run(*self.img, "convert", *pack, "-f", "raw", "-O", "qcow2", "-o", options, raw, ours)
        self.both_check(ours)
        self.same(ours, "qcow2", raw)
        run("qemu-img", "convert", *pack, "-f", "raw", "-O", "qcow2", "-o", options, raw, theirs)
        self.both_check(theirs)
        self.same(theirs, "qcow2", raw)
        if packed and os.path.getsize(ours) > os.path.getsize(theirs) * 1.2 + 65536 * 4:
            raise Failed(f"{os.path.getsize(ours)} bytes; qemu-img needs {os.path.getsize(theirs)}")

    def chain(self, maker):
        names = [self.path(n) for n in ("base", "middle", "top")]
        pattern(names[0], 1 << 20, 3)
        run(*maker, "create", "-q", "-f", "qcow2", "-b", names[0], "-F", "raw", names[1], "2M")
        run("qemu-io", "-f", "qcow2", "-c", "write -P 7 500k 100k", "-c", "write -z 700k 64k", names[1])
        run(*maker, "create", "-q", "-f", "qcow2", "-b", "middle", "-F", "qcow2", names[2])
        run("qemu-io", "-f", "qcow2", "-c", "write -P 9 550k 3k", names[2])
        run("qemu-img", "convert", "-O", "raw", names[2], self.path("wanted"))
        self.same(names[2], "qcow2", self.path("wanted"))
        info = json.loads(run(*self.img, "info", "--output=json", names[2]))
        theirs = json.loads(run("qemu-img", "info", "--output=json", names[2]))
        for key in ("virtual-size", "format", "cluster-size", "backing-filename", "backing-filename-format"):
            if info[key] != theirs[key]:
                raise Failed(f"info: {key} is {info[key]}, qemu-img says {theirs[key]}")
        run(*self.img, "convert", "-O", "qcow2", "-B", names[0], "-F", "raw", names[2], self.path("rebased"))
        self.same(self.path("rebased"), "qcow2", self.path("wanted"))

    def resize(self, maker):
        image, raw = self.path("image"), self.path("raw")
        pattern(raw, 1 << 20, 4)
        run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-o", "cluster_size=512", raw, image)
        for size, shrink in (("+9M", []), ("700416", ["--shrink"]), ("3M", [])):
            run(*maker, "resize", "-f", "qcow2", *shrink, image, size)
            self.both_check(image)
            os.truncate(raw, {"+9M": 10 << 20, "700416": 700416, "3M": 3 << 20}[size])
            self.same(image, "qcow2", raw)

    def snapshots(self, first, second):
        image = self.path("image")
        run("qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=4k", image, "2M")
        run("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 900k", image)
        run(*first, "snapshot", "-c", "one", image)
        run("qemu-io", "-f", "qcow2", "-c", "write -P 2 300k 900k", image)
        run(*second, "snapshot", "-c", "two", image)
        self.both_check(image)
        for name in ("one", "two"):
            run("qemu-img", "convert", "-l", f"snapshot.name={name}", "-f", "qcow2", "-O", "raw", image, self.path(name))
            run(*self.img, "convert", "-l", name, "-f", "qcow2", "-O", "raw", image, self.path("ours"))
            run("qemu-img", "compare", "-f", "raw", "-F", "raw", self.path(name), self.path("ours"))
        run("qemu-io", "-f", "qcow2", "-c", "write -P 3 0 2M", image)
        for tool, name in ((first, "one"), (second, "two"), (second, "one")):
            run(*tool, "snapshot", "-a", name, image)
            self.both_check(image)
            self.same(image, "qcow2", self.path(name))
        if "two" not in run(*self.img, "snapshot", "-l", image):
            raise Failed("the list lacks a snapshot")
        for tool, name in ((second, "one"), (first, "two")):
            run(*tool, "snapshot", "-d", name, image)
            self.both_check(image)
            self.same(image, "qcow2", self.path("one"))

    def repair(self):
        """What a crash or an older tool leaves behind: leaks, a dirty mark, counts that are wrong."""
        image, raw = self.path("image"), self.path("raw")
        pattern(raw, 1 << 20, 5)
        run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-o", "lazy_refcounts=on", raw, image)
        table = int.from_bytes(open(image, "rb").read(56)[48:56], "big")
        with open(image, "r+b") as stream:
            stream.seek(table)
            block = int.from_bytes(stream.read(8), "big")
            stream.seek(block + 2 * 5)
            stream.write(b"\0\0\0\3")  # one count too low, one too high
            stream.seek(79)
            stream.write(b"\1")  # dirty
        run(*self.img, "check", image, ok=(2,))
        run(*self.img, "check", "-r", "leaks", image, ok=(2,))
        run(*self.img, "check", "-r", "all", image)
        self.both_check(image)
        self.same(image, "qcow2", raw)

    def refused(self):
        """Images that we must not read as if we understood them."""
        image, loop = self.path("image"), self.path("loop")
        for at, value, word in ((79, 4, "another file"), (79, 16, "extended"), (72, 128, "not known"), (35, 2, "encrypted")):
            run("qemu-img", "create", "-q", "-f", "qcow2", image, "1M")
            with open(image, "r+b") as stream:
                stream.seek(at)
                stream.write(bytes([value]))
            done = subprocess.run([*self.img, "info", image], capture_output=True, text=True, timeout=60)
            if done.returncode != 1 or word not in done.stderr:
                raise Failed(f"byte {at}: {done.returncode} {done.stderr}")
        run("qemu-img", "create", "-q", "-f", "qcow2", loop, "1M")
        run("qemu-img", "rebase", "-u", "-f", "qcow2", "-b", "loop", "-F", "qcow2", loop)
        done = subprocess.run([*self.img, "convert", loop, image], capture_output=True, text=True, timeout=60)
        if done.returncode != 1 or "loop" not in done.stderr:
            raise Failed(f"a loop: {done.returncode} {done.stderr}")
        # A guess must not lead to another file: the guest may have written that head.
        secret, disk, top = self.path("secret"), self.path("disk"), self.path("top")
        pattern(secret, 1 << 20, 0)
        run("qemu-img", "create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", disk)
        run("qemu-img", "create", "-q", "-f", "qcow2", "-b", disk, "-F", "qcow2", top)
        run("qemu-img", "rebase", "-u", "-f", "qcow2", "-b", disk, "-F", "", top, ok=(0, 1))
        with open(top, "r+b") as stream:  # the extension with the format goes
            head = stream.read(512).replace(bytes.fromhex("e2792aca"), bytes.fromhex("12345678"))
            stream.seek(0)
            stream.write(head)
        done = subprocess.run([*self.img, "convert", top, image], capture_output=True, text=True, timeout=60)
        if done.returncode != 1 or "guess" not in done.stderr:
            raise Failed(f"a guess: {done.returncode} {done.stderr}")

    def locked(self):
        """We keep QEMU's tools away and they keep us away."""
        image = self.path("image")
        run("qemu-img", "create", "-q", "-f", "qcow2", image, "1M")
        with subprocess.Popen(["qemu-io", "-f", "qcow2", image], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            other.stdin.write(b"write 0 512\n")
            other.stdin.flush()
            other.stdout.readline()
            done = subprocess.run([*self.img, "convert", image, self.path("out")], capture_output=True, text=True, timeout=60)
            other.stdin.close()
        if done.returncode != 1 or "in use" not in done.stderr:
            raise Failed(f"not kept away: {done.returncode} {done.stderr}")


def cases(case):
    qemu = ["qemu-img"]
    for kind in KINDS:
        yield f"random {kind}", lambda k=kind: case.random(k, case.img)
        yield f"convert {kind}", lambda k=kind: case.convert(k, False)
        yield f"pack {kind}", lambda k=kind: case.convert(k, True)
    for kind in ("cluster_size=64k", "cluster_size=512", "compat=0.10,cluster_size=4k"):
        yield f"backed {kind}", lambda k=kind: case.random(k, qemu, backing=True)
        yield f"snapshots {kind}", lambda k=kind: case.random(k, qemu, snapshots=True)
    yield "snapshots over a backing file", lambda: case.random("cluster_size=4k", case.img, True, True)
    for name, maker in (("ours", case.img), ("theirs", qemu)):
        yield f"chain, {name}", lambda m=maker: case.chain(m)
        yield f"resize, {name}", lambda m=maker: case.resize(m)
    yield "snapshots, ours first", lambda: case.snapshots(case.img, qemu)
    yield "snapshots, theirs first", lambda: case.snapshots(qemu, case.img)
    yield "repair", case.repair
    yield "refused", case.refused
    yield "locked", case.locked


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("isomer")
    parser.add_argument("stream")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    if not shutil.which("qemu-img"):
        print("skip: there is no qemu-img here")
        return 77
    failed = 0
    # In memory where there is such a folder: nothing here is about the medium.
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        for name, test in cases(Case(args, folder)):
            if args.only not in name:
                continue
            for left in os.listdir(folder):
                os.unlink(os.path.join(folder, left))
            try:
                test()
            except (Failed, subprocess.TimeoutExpired) as error:
                failed += 1
                print(f"{name} (seed {args.seed}): {error}")
    print("some images were wrong" if failed else "all images were right")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
