#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Migration as its users meet it: addresses, refusals, failures and cancels, each with what the monitor or the command
line says. The machine has no real processor. move_test.py PROGRAM"""
import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

OPTIONS = ["-m", "16", "-smp", "2", "-display", "none", "-serial", "null", "-monitor", "stdio",
           "-sandbox", "off"]  # since exec: starts programs

QUIET = "exec >/dev/null 2>&1"  # a command that is left behind holds no pipe of ours


class Fault(Exception):
    """Something was not as it should be."""


def start(program, *more):
    return subprocess.Popen([program, *OPTIONS, *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def talk(program, commands, *more):
    """(output, errors, status) of a machine that is told these commands."""
    with start(program, *more) as process:
        out, err = process.communicate("".join(c + "\n" for c in commands), timeout=20)
    return out.replace("\r", ""), err, process.returncode


def wanted(what, text, pattern):
    if not re.search(pattern, text):
        raise Fault(f"{what}: wanted '{pattern}', got\n{text}")


def there_and_back(program, folder):
    state = os.path.join(folder, "state")
    for uri, back, how in ((f"file:{state}", f"file:{state}", "none"),
                           (f"exec:gzip >{state}.gz", f"exec:zcat {state}.gz", "zlib")):
        out, _, status = talk(program, [f"migrate_set_parameter multifd-compression {how}", f"migrate {uri}", "info migrate",
                                        "info status", "quit"])
        wanted(uri, out, rf"status: completed\n(.*\n)*total ram: 16384 kbytes\n(.*\n)*compression: {how}\n")
        wanted(uri, out, "VM status: paused")
        arrived(program, back)
    size = os.stat(state).st_size
    if size > 4 << 20:
        raise Fault(f"pages of zeros were written: {size} bytes")
    return state


@contextlib.contextmanager
def monitored(program, *more):
    """A machine at its monitor's prompt; it ends with the block."""
    process = start(program, *more)
    try:
        until_prompt(process)
        yield process
        process.communicate("quit\n", timeout=20)
    finally:
        process.kill()
        process.communicate()


def until_prompt(process):
    said = ""
    while not said.endswith("(qemu) "):
        char = process.stdout.read(1)
        if not char:
            raise Fault(f"the machine ended after\n{said}\n{process.stderr.read()}")
        said += char
    return said.replace("\r", "")


def ask(process, command):
    """The monitor's answer to one command."""
    process.stdin.write(command + "\n")
    process.stdin.flush()
    return until_prompt(process)


def ask_until(process, command, pattern):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        said = ask(process, command)
        if re.search(pattern, said):
            return
        time.sleep(0.01)
    raise Fault(f"'{command}' never said '{pattern}', but\n{said}")


def arrived(program, uri):
    """The machine comes, and then runs."""
    with monitored(program, "-incoming", uri) as process:
        ask_until(process, "info status", "VM status: running")


def refusals(program, folder, state):
    cases = [
        (["-incoming", "nowhere"], "'nowhere' is no place for a machine's state"),
        (["-incoming", f"file:{folder}/nothing"], "cannot open '.*nothing': No such file or directory"),
        (["-incoming", "tcp:localhost"], "'tcp:localhost' is not tcp:HOST:PORT"),
        (["-incoming", "exec:exit 3"], "the saved state ends early"),
        (["-incoming", f"file:{sys.argv[0]}"], "this is not the state of an Isomer machine"),
        (["-incoming", f"file:{state}", "-smp", "3"], "the saved machine has cpus=2, this one has cpus=3"),
        (["-incoming", f"file:{state}", "-m", "32"], "the saved machine has ram=16777216, this one has ram=33554432"),
        (["-incoming", f"file:{state}", "-drive", f"file={folder}/load,format=raw"],
         "the saved machine has 'device /virt/.*' where this one has 'bytes of drive 0'"),
        (["-incoming", f"exec:head -c 5000 {state}"], "the saved state ends early"),
        (["-incoming", "defer", "-loadvm", "x"], "-incoming and -loadvm exclude each other"),
        (["-loadvm", "x"], "-loadvm: no disk of this machine can hold a snapshot"),
    ]
    for words, text in cases:
        with start(program, *words) as process:
            try:
                status = process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                raise Fault(f"{words}: it runs") from None
            err = process.stderr.read()
        wanted(words, err, rf"\Aisomer: .*{text}.*\n\Z")
        if status != 1:
            raise Fault(f"{words}: exit status {status}")


def monitor_words(program, folder):
    out, _, _ = talk(program, ["migrate", "migrate nowhere", "info migrate", "migrate_cancel",
                               "migrate_set_parameter speed 3", "migrate_set_parameter max-bandwidth 2",
                               "migrate_set_parameter downtime-limit 40", "info migrate_parameters", "migrate_set_parameter multifd-compression lzo",
                               "savevm x", "loadvm x", "delvm x", "savevm", "info snapshots", "migrate_incoming file:x",
                               f"migrate file:{folder}/no/such", "info migrate", "info status", "quit"])
    wanted("monitor", out, "Error: migrate needs an address")
    wanted("monitor", out, "Error: 'nowhere' is no place for a machine's state")
    wanted("monitor", out, "Error: the parameters are max-bandwidth, downtime-limit and multifd-compression")
    wanted("monitor", out, r"max-bandwidth: 2097152 bytes/second\ndowntime-limit: 40 ms\nmultifd-compression: none")
    wanted("monitor", out, "Error: multifd-compression is none, zlib or zstd")
    wanted("monitor", out, r"(Error: no disk of this machine can hold a snapshot(.|\n)*){3}Error: a snapshot needs a name")
    wanted("monitor", out, "There is no snapshot available")
    wanted("monitor", out, "Error: this machine does not wait for a saved state")
    wanted("monitor", out, r"migrate file:.*/no/such\nError: cannot open '.*/no/such': No such file")
    wanted("monitor", out, r"Migration status: failed \(cannot open '.*/no/such': No such file")
    wanted("monitor", out, r"VM status: running\n\(qemu\) quit")


def cancelled(program, folder):
    """A receiver that takes nothing: the machine goes on, and a cancel ends it; so does quitting."""
    path, load = os.path.join(folder, "deaf"), os.path.join(folder, "load")
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(path)
        deaf.listen(2)
        with monitored(program, "-device", f"loader,file={load},addr=0x40400000,force-raw=on") as process:
            ask(process, f"migrate -d unix:{path}")
            ask_until(process, "info migrate", "Migration status: active")
            wanted("twice", ask(process, "migrate file:x"), "Error: a migration is under way already")
            wanted("meanwhile", ask(process, "savevm x"), "Error: a migration is under way")
            wanted("meanwhile", ask(process, "info status"), "running")
            ask(process, "migrate_cancel")
            ask_until(process, "info migrate", "Migration status: cancelled")
            wanted("afterwards", ask(process, "info status"), "running")
            ask(process, f"migrate -d unix:{path}")
    if process.returncode:
        raise Fault(f"quitting amid a migration ended with {process.returncode}")


def changed(program, folder):
    """A device that comes amid a migration, of which the receiver knows nothing: the machine stays."""
    path, load = os.path.join(folder, "slow"), os.path.join(folder, "load")
    with socket.socket(socket.AF_UNIX) as slow:
        slow.bind(path)
        slow.listen(1)
        with monitored(program, "-device", f"loader,file={load},addr=0x40400000,force-raw=on", "-device",
                       "pcie-root-port,id=slot0") as process:
            ask(process, f"migrate -d unix:{path}")
            ask_until(process, "info migrate", "Migration status: active")
            ask(process, "device_add virtio-rng-pci,bus=slot0,id=rng")
            peer, _ = slow.accept()
            with peer:
                while peer.recv(1 << 20):
                    pass
            ask_until(process, "info migrate", r"status: failed \(a device came or went while the machine was being saved\)")
            ask_until(process, "info status", "VM status: running")


def last_part(program, folder):
    """The machine stands and its state is not yet with the receiver: it is not continued; after a failure it is."""
    go, load = os.path.join(folder, "go"), os.path.join(folder, "load")
    for status, end, state in (("0", "completed", "paused"), ("1", "failed", "running")):
        with monitored(program, "-device", f"loader,file={load},addr=0x40400000,force-raw=on") as process:
            ask(process, f"migrate -d exec:{QUIET}; cat; until [ -e {go} ] || [ ! -d {folder} ]; do sleep 0.01; done; exit {status}")
            ask_until(process, "info status", "VM status: paused")
            ask_until(process, "info migrate", "Migration status: active")
            wanted("amid the last part", ask(process, "cont"), "Error: the migration is not finished")
            wanted("amid the last part", ask(process, "info status"), "VM status: paused")
            with open(go, "w", encoding="ascii"):
                pass
            ask_until(process, "info migrate", f"Migration status: {end}")
            ask_until(process, "info status", f"VM status: {state}")
            ask(process, "cont")  # whoever says so now knows
            ask_until(process, "info status", "VM status: running")
        os.unlink(go)


def stubborn(program, folder):
    """A command that does not end when it is told to: neither a cancel nor the end waits for it."""
    load = os.path.join(folder, "load")
    for command in ("trap '' TERM; exec sleep 100", "trap '' TERM; cat; exec sleep 100"):
        with monitored(program, "-device", f"loader,file={load},addr=0x40400000,force-raw=on") as process:
            for way in ("cancel", "quit"):
                ask(process, f"migrate -d exec:{QUIET}; {command}")
                ask_until(process, "info migrate", "Migration status: active")
                if "cat" in command:
                    ask_until(process, "info status", "VM status: paused")
                if way == "cancel":
                    ask(process, "migrate_cancel")
                    ask_until(process, "info migrate", "Migration status: cancelled")
                    ask_until(process, "info status", "VM status: running")


def table_of(image):
    """Where the disk's active table is, by its header: another place after a snapshot was loaded."""
    with open(image, "rb") as stream:
        return stream.read(48)[40:]


def unharmed(program, folder):
    """A loadvm that cannot work is known to be so before a disk is changed, and the machine runs on."""
    disks = [os.path.join(folder, name + ".qcow2") for name in "ab"]
    for disk in disks:
        subprocess.run([program, "img", "create", "-q", "-f", "qcow2", disk, "1M"], check=True)
    drives = [word for disk in disks for word in ("-drive", f"if=none,id={disk[-7]},format=qcow2,file={disk}")]
    out, _, _ = talk(program, ["savevm one", "loadvm one", "savevm two", "info status", "quit"], *drives)
    wanted("savevm", out, r"savevm two\n\(qemu\) info status\nVM status: running")
    subprocess.run([program, "img", "snapshot", "-d", "two", disks[1]], check=True)
    tables = [table_of(disk) for disk in disks]
    for name, more, text in (("one", ["-m", "32"], "the saved machine has ram=16777216, this one has ram=33554432"),
                             ("two", [], "disk 'b' has no snapshot 'two'")):
        out, _, _ = talk(program, [f"loadvm {name}", "info status", "quit"], *drives, *more)
        wanted("loadvm", out, f"Error: {text}")
        wanted("loadvm", out, "VM status: running")
        if [table_of(disk) for disk in disks] != tables:
            raise Fault(f"loadvm {name} has changed a disk")


def sandboxed(program, folder):
    """The socket that a machine's state came by is removed in the sandbox, too."""
    path, env = os.path.join(folder, "boxed"), "ASAN_OPTIONS"
    os.environ[env] = os.environ.get(env, "") + ":detect_leaks=0"
    with monitored(program, "-incoming", f"unix:{path}", "-sandbox", "on") as process:
        talk(program, [f"migrate unix:{path}", "quit"])
        ask_until(process, "info status", "VM status: running")
        if os.path.exists(path):
            raise Fault("the socket is left behind in the sandbox")


def deferred(program, state):
    out, err, status = talk(program, ["info status", f"migrate_incoming file:{state}", "system_reset", "quit"], "-incoming",
                            "defer")
    wanted("defer", out, "VM status: paused")
    if status or err:
        raise Fault(f"-incoming defer: {status} {err}")


def over_tcp(program):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    said = []
    receiver = threading.Thread(target=lambda: said.append(arrived(program, f"tcp:127.0.0.1:{port}")))
    receiver.start()
    deadline = time.monotonic() + 20
    out = ""
    while "completed" not in out and time.monotonic() < deadline:  # the receiver may not listen yet
        out, _, _ = talk(program, [f"migrate tcp:127.0.0.1:{port}", "info migrate", "quit"])
    receiver.join()
    wanted("tcp", out, "Migration status: completed")
    if not said:
        raise Fault("the machine did not arrive over tcp")


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "load"), "wb") as stream:
            stream.write(os.urandom(8 << 20))
        try:
            state = there_and_back(program, folder)
            refusals(program, folder, state)
            monitor_words(program, folder)
            cancelled(program, folder)
            changed(program, folder)
            last_part(program, folder)
            stubborn(program, folder)
            unharmed(program, folder)
            sandboxed(program, folder)
            deferred(program, state)
            over_tcp(program)
        except Fault as fault:
            print(fault)
            return 1
    print("machines move, and those that cannot say why")
    return 0


if __name__ == "__main__":
    sys.exit(main())
