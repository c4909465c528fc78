#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Talks to the human monitor the ways that tools do: all commands in one piece over standard input,
and over a terminal shared with the serial line. monitor_test.py PROGRAM"""
import os
import re
import subprocess
import sys
import tempfile

TALK = [
    ("info status", r"VM status: running"),
    ("stop", r""),
    ("info status", r"VM status: paused"),
    ("system_reset", r""),
    ("info status", r"VM status: paused \(prelaunch\)"),
    ("cont", r""),
    ("info status", r"VM status: running"),
    ("xp/2xw 0x40000000", r"0000000040000000: 0xedfe0dd0 0x[0-9a-f]{8}"),
    ("xp /4xb 0x40000000", r"0000000040000000: 0xd0 0x0d 0xfe 0xed"),
    ("xp /1dw 0x40000000", r"0000000040000000: -302117424"),
    ("xp 0x1000", r"0000000000001000: cannot access memory"),
    ("xp /z 0", r"invalid char in format: 'z'"),
    ("xp /x here", r"'here' is not an address"),
    ("info mtree", r"memory\n(.*\n)*.*0000000040000000-0000000047ffffff ram  ram(\n.*)*"),
    ("info cpus", r"\* CPU #0: (on|off) thread_id=1000\n  CPU #1: off thread_id=1001"),
    ("cpu 1", r""),
    ("info cpus", r"  CPU #0: (on|off) thread_id=1000\n\* CPU #1: off thread_id=1001"),
    ("cpu 2", r"cpu: the machine has CPUs 0 to 1"),
    ("cpu", r"cpu: the machine has CPUs 0 to 1"),
    ("info name", r"test"),
    ("info frob", r"unknown command: 'info frob'"),
    ("frob 1", r"unknown command: 'frob'"),
    ("device_add virtio-rng-pci", r"Error: device 'virtio-rng-pci' can be added to this machine only with bus= .*"),
    ("device_add virtio-rng-pci,bus=rp2", r"Error: there is no PCI bus 'rp2' .*"),
    ("device_add virtio-rng-pci,bus=rp1,id=r,frob=1", r"Error: device .* does not know the property 'frob'"),
    ("device_add virtio-rng-pci,bus=rp1,id=r", r""),
    ("device_add virtio-rng-pci,bus=rp1,id=r", r"Error: PCI bus 'rp1' has a device already"),
    ("device_del q", r"Error: there is no device 'q' that can be taken out"),
    ("device_del r", r""),
    ("help stop",  r"stop\|s  -- stop emulation"),
    ("frx\x7f\x7f\x7finfo status", r"VM status: running"),
]
OPTIONS = ["-name", "test", "-smp", "2", "-m", "128", "-device", "pcie-root-port,id=rp1", "-display", "none"]


def check(what, output):
    """The answers between the prompts, in order."""
    answers = output.replace("\r", "").split("(qemu) ")[1:]
    for (command, wanted), answer in zip(TALK, answers):
        text = answer.split("\n", 1)[-1].strip("\n")
        if not re.fullmatch(wanted, text):
            sys.exit(f"{what}: '{command}' answered\n{text}\nwanted {wanted}")
    if len(answers) <= len(TALK):
        sys.exit(f"{what}: {len(answers)} prompts for {len(TALK)} commands:\n{output}")


def talk():
    return "".join(c + "\n" for c, _ in TALK)


def over_stdio(program):
    done = subprocess.run([program, *OPTIONS, "-serial", "null", "-monitor", "stdio"], input=talk() + "quit\n",
                          capture_output=True, text=True, timeout=20)
    check("stdio", done.stdout)
    if done.returncode:
        sys.exit(f"quit ended with {done.returncode}")


def over_mux(program):
    done = subprocess.run([program, *OPTIONS, "-serial", "mon:stdio"], input="\x01c" + talk() + "quit\n",
                          capture_output=True, text=True, timeout=20)
    check("mon:stdio", done.stdout)
    done = subprocess.run([program, *OPTIONS], input="\x01x", capture_output=True, text=True, timeout=20)
    if done.returncode:
        sys.exit(f"Ctrl-A x ended with {done.returncode}")


def default_network(program):
    """Like QEMU: a card and a user-mode network, unless the command line speaks of networks or wants no defaults."""
    for options, wanted in (([], "nic0: type=user,.*"), (["-nic", "none"], ""), (["-net", "none"], ""), (["-nodefaults"], ""),
                            (["-netdev", "user,id=mine"], "mine: type=user,.*"), (["-M", "none"], "")):
        done = subprocess.run([program, "-S", *options, "-serial", "null", "-monitor", "stdio"], input="info network\nquit\n",
                              capture_output=True, text=True, timeout=20)
        answer = done.stdout.replace("\r", "").split("(qemu) ")[1].split("\n", 1)[-1].split("\n", 1)[0]
        if done.returncode or not re.fullmatch(wanted, answer):
            sys.exit(f"{' '.join(options)}: status {done.returncode}, info network answered '{answer}', wanted {wanted}")


def default_sandbox(program):
    """A filter of system calls unless that is refused; with a monitor, files by any name but no programs, without one only
    those of the command line."""
    with tempfile.TemporaryDirectory() as folder:
        state = os.path.join(folder, "state")
        for options, filtered in (([], True), (["-sandbox", "on"], True), (["-sandbox", "off"], False)):
            with subprocess.Popen([program, "-S", "-m", "16", "-nodefaults", *options, "-monitor", "stdio"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True) as process:
                process.stdin.write("info status\n")
                process.stdin.flush()
                while "VM status" not in process.stdout.readline():
                    pass
                with open(f"/proc/{process.pid}/maps", encoding="ascii") as maps:
                    sanitized = re.search("lib[at]san", maps.read())
                with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
                    mode = re.search(r"Seccomp:\s+(\d)", status.read()).group(1)
                answer, _ = process.communicate(f"migrate exec:true\ninfo migrate\nmigrate file:{state}\nquit\n", timeout=20)
            if sanitized and not options:  # which the default leaves alone
                continue
            facts = {"filter": (filtered, mode == "2"), "status": (0, process.returncode),
                     "refusal": (filtered, "-sandbox off lets the machine start programs" in answer),
                     "file": (options != ["-sandbox", "on"], os.path.exists(state))}
            wrong = {k: v for k, v in facts.items() if v[0] != v[1]}
            if wrong and not (sanitized and "status" in wrong):
                sys.exit(f"{' '.join(options) or 'without -sandbox'}: {wrong}\n{answer}")
            if os.path.exists(state):
                os.unlink(state)


def main():
    for way in (over_stdio, over_mux, default_network, default_sandbox):
        way(sys.argv[1])
    print("the monitor answers over standard input and a shared terminal")


if __name__ == "__main__":
    main()
