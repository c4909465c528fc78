# SPDX-License-Identifier: MIT
"""The disks that tools/bench runs real programs from: Debian's ARM64 packages unpacked into an ext4 image, with the
scripts of a folder of tests/bench/, their inputs and progbench in /bench.

Everything lies in .cache/bench/ and is made once; an image is made anew when a script, an input or progbench
changes. Neither root nor an emulator is needed: dpkg-deb unpacks, mke2fs fills the image. A disk's folder of data
is what the image has in /bench, and what the same work runs from on the host."""
import collections
import glob
import hashlib
import os
import re
import shutil
import subprocess

from isotools import guest, workdata
from isotools.debian import Failure, PrivateApt, make_tree

SOURCES = os.path.join(guest.TOP, "tests", "bench")
# tree: name of the unpacked packages and the image; scripts: folder below tests/bench/; data: what goes to /bench;
# inputs: function that makes the scripts' inputs in a folder, or None; mib: of the file system.
Disk = collections.namedtuple("Disk", "tree scripts data packages trim mib inputs")
PACKAGES = ("dash coreutils sed grep mawk findutils gcc libc6-dev python3-minimal libpython3.11-stdlib perl-base sqlite3 "
            "openssl xz-utils gzip zstd lua5.4 git").split()
TRIM = ["usr/share/" + name for name in ("doc", "man", "locale", "info", "lintian", "bug", "i18n", "gcc", "perl")] \
    + ["usr/lib/aarch64-linux-gnu/" + name for name in ("gconv", "perl", "*.a", "lib*san.so*")] \
    + ["usr/lib/gcc/aarch64-linux-gnu/12/" + name for name in ("plugin", "lto1", "*.a")] \
    + ["usr/bin/*lto-dump*", "usr/bin/*ld.gold", "usr/bin/*dwp", "usr/bin/scalar", "usr/bin/git-*", "usr/bin/perl5*",
       "usr/bin/*gprof*", "usr/lib/git-core/git-*http*", "usr/lib/git-core/scalar", "usr/lib/git-core/git-imap-send"]
PROGRAMS = Disk("root", "programs", "data", PACKAGES, TRIM, 320, workdata.make)
DEVICES = Disk("devices", "devices", "data-devices", ("dash", "coreutils", "sed", "mawk", "fio", "iperf3"),
               ["usr/share/*", "usr/lib/python3*", "usr/bin/python3*", "usr/bin/perl*", "usr/lib/aarch64-linux-gnu/perl*",
                "usr/lib/aarch64-linux-gnu/gconv"], 192, None)
MODULES = ("virtio_mmio", "virtio_blk")
HOST_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"  # Debian's programs, whatever stands before them in the caller's PATH
COMPILERS = {"aarch64": "aarch64-linux-gnu-gcc", "native": "gcc"}


def compile_for(what, source, output):
    """Builds one of the C files of tests/bench/ if it is newer than `output`. what: a key of COMPILERS."""
    source = os.path.join(SOURCES, source)
    compiler = COMPILERS[what]
    if os.path.exists(output) and os.path.getmtime(output) >= os.path.getmtime(source):
        return output
    if not shutil.which(compiler):
        raise Failure(f"{compiler} is missing; install Debian's gcc-aarch64-linux-gnu and libc6-dev-arm64-cross."
                      if what == "aarch64" else "gcc is missing, which --native needs.")
    os.makedirs(os.path.dirname(output), exist_ok=True)
    static = ["-static"] if what == "aarch64" else []
    subprocess.run([compiler, "-O2", *static, "-pthread", source, "-o", output, "-lm"], check=True)
    return output


def scripts_of(disk):
    return os.path.join(SOURCES, disk.scripts)


def needs(name, disk=PROGRAMS):
    """The programs a row's script says it needs."""
    with open(os.path.join(scripts_of(disk), name + ".sh"), encoding="ascii") as stream:
        match = re.search(r"^# needs: (.+)$", stream.read(), re.M)
    return match.group(1).split() if match else []


def own_result(name, disk=PROGRAMS):
    """Whether the row's result depends on the processor."""
    with open(os.path.join(scripts_of(disk), name + ".sh"), encoding="ascii") as stream:
        return re.search(r"^# own: ", stream.read(), re.M) is not None


def on_host(names):
    """Those of the rows for which the host has the programs."""
    return [name for name in names if all(shutil.which(program, path=HOST_PATH) for program in needs(name))]


def _folder():
    return os.path.join(guest.cache_dir(), "bench")


def _digest(paths):
    state = hashlib.sha256()
    for path in sorted(paths):
        with open(path, "rb") as stream:
            state.update(os.path.basename(path).encode() + b"\0" + stream.read())
    return state.hexdigest()


def ensure_data(disk=PROGRAMS):
    """The folder with scripts and inputs; also its digest."""
    folder = os.path.join(_folder(), disk.data)
    scripts = [path for path in glob.glob(os.path.join(scripts_of(disk), "*")) if os.path.isfile(path)]
    digest = _digest([*scripts, *([workdata.__file__] if disk.inputs else [])])
    stamp = folder + ".digest"
    if not os.path.isdir(folder) or _read(stamp) != digest:
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        for path in scripts:
            shutil.copy(path, folder)
        if disk.inputs:
            disk.inputs(folder)
        _write(stamp, digest)
    return folder, digest


def _read(path):
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def _write(path, text):
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)


def _mke2fs():
    found = shutil.which("mke2fs", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not found:
        raise Failure("mke2fs is missing; install Debian's e2fsprogs.")
    return found


def ensure_image(note=lambda text: None, disk=PROGRAMS):
    """(path of the disk image, versions of the packages in it)"""
    os.makedirs(_folder(), exist_ok=True)
    with guest.locked(_folder()):
        return _ensure_image(note, disk)


def _ensure_image(note, disk):
    tree = os.path.join(_folder(), disk.tree)
    image = tree + ".ext4"
    if not os.path.exists(tree + ".packages"):
        note(f"fetching {len(disk.packages)} ARM64 packages and what they need from Debian")
        make_tree(tree, PrivateApt(guest.cache_dir(), "arm64"), disk.packages, disk.trim)
        finish(tree)
    packages = _read(tree + ".packages").split()
    data, digest = ensure_data(disk)
    runner = compile_for("aarch64", "progbench.c", os.path.join(_folder(), "progbench-aarch64"))
    wanted = _digest([runner, tree + ".packages"]) + digest
    if not os.path.exists(image) or _read(image + ".digest") != wanted:
        note(f"making the disk of {disk.scripts}")
        bench = os.path.join(tree, "bench")
        shutil.rmtree(bench, ignore_errors=True)
        shutil.copytree(data, bench)
        shutil.copy(runner, os.path.join(bench, "progbench"))
        fill(image, tree, disk.mib)
        _write(image + ".digest", wanted)
    return image, packages


def finish(tree):
    """What maintainers' scripts would have done and work in a chroot needs."""
    for folder in ("proc", "dev", "sys", "tmp", "etc", "bin", "usr/bin"):
        os.makedirs(os.path.join(tree, folder), exist_ok=True)
    for link, to in (("bin/sh", "dash"), ("usr/bin/awk", "mawk")):
        path = os.path.join(tree, link)
        if not os.path.lexists(path):
            os.symlink(to, path)
    _write(os.path.join(tree, "etc", "passwd"), "root:x:0:0:root:/tmp:/bin/sh\n")


def fill(image, tree, mib):
    """Makes an ext4 file system of so many MiB that holds the folder `tree`."""
    scratch = image + ".new"
    with open(scratch, "wb") as stream:
        stream.truncate(mib << 20)
    result = subprocess.run([_mke2fs(), "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-U", "clear",
                             "-d", tree, scratch], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if result.returncode != 0:
        raise Failure(f"mke2fs could not make the programs' disk ({result.stdout.strip()}).")
    os.rename(scratch, image)


def host_programs():
    """What the native programs are, for the record."""
    answer = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}, ", *PACKAGES], stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, text=True, check=False) if shutil.which("dpkg-query") else None
    return answer.stdout.rstrip(", ") if answer else "unknown versions"
