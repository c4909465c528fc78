#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Semihosting: a bare program says the same here and on a reference emulator, reaches the files of its folder and no others,
and its exit status is the process's. A machine with one of them open is not saved; one that is keeps the other handles.
semihosting.py EMULATOR [OPTIONS...]. Exit 77 without a compiler for the guest."""
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "qmp"))
from qmp_client import Qmp, QmpError  # noqa: E402

PATIENCE = 60 * float(os.environ.get("ISOMER_PATIENCE", "1"))
CC, REFERENCE = "aarch64-linux-gnu-gcc", "qemu-system-aarch64"


def run(emulator, folder, *options):
    done = subprocess.run([emulator, "-M", "virt", "-cpu", "cortex-a57", "-m", "64", "-display", "none", "-nodefaults",
                           "-monitor", "none", "-kernel", "program", *options],
                          cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def fill(folder):
    for name, text in (("in.txt", "hullo from the host\n"), ("gone.txt", "x"), ("../outside.txt", "secret")):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as stream:
            stream.write(text)
    if not os.path.lexists(os.path.join(folder, "link.txt")):
        os.symlink("../outside.txt", os.path.join(folder, "link.txt"))
        os.mkfifo(os.path.join(folder, "fifo"))


def left(folder):
    with open(os.path.join(folder, "out.txt"), encoding="utf-8") as stream:
        return stream.read(), os.path.exists(os.path.join(folder, "gone.txt"))


def check(emulator, options, folder):
    faults = []
    here = "enable=on,target=native,arg=program,arg=first,arg=second"
    fill(folder)
    status, said, errors = run(emulator, folder, "-semihosting-config", here + ",folder=.", *options)
    print(said)
    if status != 42 or left(folder) != ("from the guest\n", False):
        faults.append(f"exit status {status}, folder {left(folder)}: {errors}")
    fill(folder)
    escapes = run(emulator, folder, "-semihosting-config", here + ",arg=!,folder=.", *options)[1].partition("\n.. ")[2]
    wanted = "-1\n/ -1\nlink -1\nfifo -1\nfolder -1\nbeyond memory 1\nnothing such 1\n"
    if escapes != wanted:
        faults.append(f"out of the folder: {escapes}")
    if shutil.which(REFERENCE):
        fill(folder)
        reference = run(REFERENCE, folder, "-semihosting-config", here)[1]
        if reference != said:
            faults.append(f"the reference says:\n{reference}")
    fill(folder)
    status, said, _ = run(emulator, folder, "-semihosting-config", here + ",folder=.,readonly=on", *options)
    if status != 42 or "hullo" not in said or not left(folder)[1]:
        faults.append(f"readonly=on: {said}")
    status, said, _ = run(emulator, folder, "-semihosting", "-append", "a b", *options)
    if status != 42 or "hullo" in said or "program a b" not in said:
        faults.append(f"without a folder: {said}")
    status, said, _ = run(emulator, folder, "-chardev", "file,id=c,path=log", "-semihosting-config", here + ",chardev=c", *options)
    with open(os.path.join(folder, "log"), encoding="utf-8") as stream:
        if said or "program first second" not in stream.read():
            faults.append("chardev= does not get the output")
    return faults


def until(what, holds):
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise QmpError(f"{what} within {PATIENCE:.0f} s")
        time.sleep(0.01)


def migrated(qmp, uri):
    """The end of a migration, in QMP's words."""
    qmp.command("migrate", uri=uri)
    until("no end of the migration", lambda: qmp.command("query-migrate")["status"] not in ("setup", "active"))
    return qmp.command("query-migrate")


def check_saved(emulator, options, folder):
    """Moves a machine whose program has handles open; what was wrong."""
    state, path, log = (os.path.join(folder, name) for name in ("state", "qmp", "log"))
    fill(folder)

    def start(*more):
        return subprocess.Popen([emulator, "-M", "virt", "-cpu", "cortex-a57", "-m", "64", "-display", "none", "-nodefaults",
                                 "-kernel", "program", "-chardev", "file,id=c,path=log,append=on", "-semihosting-config",
                                 "enable=on,chardev=c,folder=.,arg=program,arg=+", "-qmp", f"unix:{path},server=on,wait=off",
                                 *options, *more], cwd=folder, stdin=subprocess.DEVNULL)

    def said(text):
        with open(log, encoding="utf-8") as stream:
            return text in stream.read()

    def touch(name):
        with open(os.path.join(folder, name), "w", encoding="ascii"):
            pass

    if os.path.exists(log):
        os.unlink(log)
    with start() as first:
        try:
            qmp = Qmp.over(path)
            until("no file opened", lambda: said("a file is open"))
            end = migrated(qmp, f"file:{state}")
            if "files of the host open by semihosting" not in end.get("error-desc", ""):
                return [f"a machine with an open file is saved: {end}"]
            touch("closed.txt")
            until("no file closed", lambda: said("none is open"))
            end = migrated(qmp, f"file:{state}")
            if end["status"] != "completed":
                return [f"a machine without open files is not saved: {end}"]
            qmp.command("quit")
        finally:
            first.kill()
    touch("moved.txt")
    with start("-incoming", f"file:{state}") as second:
        try:
            status = second.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            status = "none"
        finally:
            second.kill()
    return [] if status == 42 and said("of the features 0\nwhich are 3\nthe end\n") else [f"the moved program ends with {status}"]


def main():
    if not shutil.which(CC):
        print(f"skip: there is no {CC}")
        return 77
    with tempfile.TemporaryDirectory() as top:
        folder = os.path.join(top, "folder")
        os.mkdir(folder)
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "semihosting.c")
        subprocess.run([CC, "-O1", "-ffreestanding", "-fno-stack-protector", "-fno-builtin", "-mgeneral-regs-only",
                        "-mstrict-align", "-static", "-nostdlib", "-no-pie", "-Wl,-Ttext=0x40200000,--build-id=none", "-o",
                        os.path.join(folder, "program"), source], check=True)
        faults = check(os.path.abspath(sys.argv[1]), sys.argv[2:], folder)
        try:
            faults += check_saved(os.path.abspath(sys.argv[1]), sys.argv[2:], folder)
        except QmpError as err:
            faults.append(str(err))
    print("\n".join(faults) or "the program was served as by the reference")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
