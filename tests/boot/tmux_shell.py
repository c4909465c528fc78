#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Works at the guest's shell as a person does: in a real terminal, tmux, by its keys and its screen.

Starts what tools/quickstart starts, edits lines, interrupts commands, runs full-screen programs in a window that
changes its size, uses the escape key's commands, and quits by key, by signal and from inside; each time the terminal
must be left as it was. tmux_shell.py EMULATOR. Exit 77 where tmux or the guest cannot be had."""
import os
import re
import subprocess
import sys
import tempfile
import time

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(TOP, "tools"))
from isotools import guest  # noqa: E402

PATIENCE = 30 * float(os.environ.get("ISOMER_PATIENCE", "1"))
# Prompts as they stand on the screen: tmux drops the blanks at a line's end.
GUEST = r"guest#$"
HOST = r"host>$"


class Wrong(Exception):
    """The screen did not show what it should; the message holds the screen."""


class Terminal:
    """One tmux server of our own with one window, running a plain shell."""
    def __init__(self, folder, width, height):
        self.tmux = ["tmux", "-S", os.path.join(folder, "tmux"), "-f", "/dev/null"]
        environment = {name: value for name, value in os.environ.items() if name != "TMUX"}
        subprocess.run([*self.tmux, "new-session", "-d", "-x", str(width), "-y", str(height), "env", "PS1=host> ", "sh"],
                       check=True, env=environment)

    def close(self):
        subprocess.run([*self.tmux, "kill-server"], check=False, stderr=subprocess.DEVNULL)

    def resize(self, width, height):
        subprocess.run([*self.tmux, "resize-window", "-x", str(width), "-y", str(height)], check=True)

    def screen(self):
        return subprocess.run([*self.tmux, "capture-pane", "-p"], check=True, stdout=subprocess.PIPE,
                              text=True).stdout.rstrip("\n")

    def keys(self, *names):
        """Presses keys by tmux's names for them: C-a, Left, Enter."""
        subprocess.run([*self.tmux, "send-keys", *names], check=True)

    def type(self, text, enter=True):
        subprocess.run([*self.tmux, "send-keys", "-l", text], check=True)
        if enter:
            self.keys("Enter")

    def wait(self, pattern, what, seconds=PATIENCE):
        deadline = time.monotonic() + seconds
        while True:
            screen = self.screen()
            match = re.search(pattern, screen, re.M | re.S)
            if match:
                return match
            if time.monotonic() > deadline:
                frame = "\n".join("  | " + line for line in screen.splitlines())
                raise Wrong(f"{what}: the screen never showed '{pattern}':\n{frame}")
            time.sleep(0.1)

    def clear(self, prompt):
        """An empty screen with the shell's prompt, so that what is waited for next is new."""
        self.type("clear")
        self.wait(r"\A" + prompt, "clear")

    def command(self, prompt, text, wanted, what):
        self.clear(prompt)
        self.type(text)
        self.wait(wanted + r"\n" + prompt, what)


def boot(term, emulator, *options):
    words = " ".join(("tools/quickstart", *(("--", *options) if options else ())))
    term.type(f"ISOMER={emulator} {words}")


def line_editing(term):
    term.clear(GUEST)
    term.type("cho line-$((6 * 7))", enter=False)
    term.keys("C-a", "C-a")  # the escape key twice over: the guest's own Ctrl-A, start of line
    term.type("e")
    term.wait(r"^line-42\n" + GUEST, "Ctrl-A Ctrl-A goes to the start of the line")
    term.type("echo abXcd", enter=False)
    term.keys("Left", "Left", "BSpace", "Enter")
    term.wait(r"^abcd\n" + GUEST, "Left and Backspace")
    term.keys("Up", "Up", "C-e")
    term.type("0")
    term.wait(r"^line-420\n" + GUEST, "Up recalls the line before, Ctrl-E goes to its end")
    term.type("ls -d /proc/vers", enter=False)
    term.keys("Tab", "Enter")
    term.wait(r"^/proc/version\n" + GUEST, "Tab completes")
    term.type("nonsense", enter=False)
    term.keys("C-u")
    term.type("echo clean")
    term.wait(r"^clean\n" + GUEST, "Ctrl-U forgets the line")


def interrupting(term):
    term.clear(GUEST)
    term.type('echo @"go"; cat')
    term.wait("^@go$", "the command begins")  # the line editor would have taken an earlier line for itself
    term.type("back")
    term.wait(r"^back\nback$", "cat answers, so it runs")
    term.keys("C-c")
    term.wait(r"\^C\n" + GUEST, "Ctrl-C ends a command")
    term.type("yes")
    term.wait(r"^y\ny\ny$", "yes runs")
    term.keys("C-c")
    term.wait(r"\^C\n" + GUEST, "Ctrl-C ends a command that prints without pause")


def full_screen(term, width, height):
    term.resize(width, height)
    term.command(GUEST, f"stty rows {height} cols {width}; stty size", f"{height} {width}", "stty keeps a size")
    term.type("rm -f /tmp/page; vi /tmp/page")
    term.wait(r"\A *\n~\n.*- /tmp/page", "vi fills the screen")
    if len(term.screen().splitlines()) != height:
        raise Wrong(f"vi uses {len(term.screen().splitlines())} of {height} lines")
    term.type("ione")
    term.type("two", enter=False)
    term.keys("Escape")
    term.wait(r"\Aone\ntwo\n~.*^- /tmp/page", "vi shows what is typed and leaves its insert mode")
    term.type(":wq")
    term.wait(GUEST, "vi ends")
    term.command(GUEST, "cat /tmp/page", "one\ntwo", "vi wrote the file")
    term.type("top")
    term.wait(r"Mem: .*Load average: .*PID .*COMMAND", "top shows the processes")
    term.keys("q")
    term.wait(GUEST, "top ends")


def escape_key(term):
    term.clear(GUEST)
    term.keys("C-a", "h")
    term.wait(r"C-a x +\S+.*C-a c +\S+", "Ctrl-A h lists the commands")
    term.keys("C-a", "c")
    term.wait(r"^\(qemu\)$", "Ctrl-A c brings the monitor")
    term.type("info status")
    term.wait(r"VM status: running\n\(qemu\)$", "the monitor answers")
    term.keys("C-a", "c", "Enter")
    term.wait(GUEST, "Ctrl-A c brings the guest back")
    term.command(GUEST, "echo $((3 * 5))", "15", "the guest's shell after the monitor")


def by_key(term, emulator, folder):
    boot(term, emulator)
    term.wait(GUEST, "the guest's shell")
    line_editing(term)
    interrupting(term)
    full_screen(term, 100, 30)
    full_screen(term, 72, 20)
    escape_key(term)
    term.keys("C-a", "x")


def from_inside(term, emulator, folder):
    boot(term, emulator)
    term.wait(GUEST, "the guest's shell")
    term.type("poweroff")


def by_signal(term, emulator, folder):
    pid_file = os.path.join(folder, "pid")
    boot(term, emulator, "-S", "-pidfile", pid_file)
    deadline = time.monotonic() + PATIENCE
    while not (os.path.exists(pid_file) and os.path.getsize(pid_file)):
        if time.monotonic() > deadline:
            raise Wrong("the emulator writes no -pidfile")
        time.sleep(0.1)
    term.keys("C-a", "h")
    term.wait(r"C-a x", "the escape key before the guest runs")
    with open(pid_file, encoding="ascii") as stream:
        os.kill(int(stream.read()), 15)


def settings(term, path):
    """What stty says of the terminal, on the host's side of it."""
    term.wait(HOST, "the host's shell")
    term.type(f"stty -a >{path}")
    term.clear(HOST)
    with open(path, encoding="ascii") as stream:
        return re.sub(r"rows \d+; columns \d+; ", "", stream.read())


def main():
    emulator = os.path.abspath(sys.argv[1])
    guest.for_test(programs=["tmux"])
    os.chdir(TOP)
    with tempfile.TemporaryDirectory() as folder:
        term = Terminal(folder, 90, 28)
        try:
            before = settings(term, os.path.join(folder, "before"))
            for way in (by_key, from_inside, by_signal):
                way(term, emulator, folder)
                after = settings(term, os.path.join(folder, "after"))
                if after != before:
                    raise Wrong(f"{way.__name__}: the terminal was\n{before}and is\n{after}")
                print(f"{way.__name__}: the terminal is as before")
        except Wrong as wrong:
            print(wrong)
            return 1
        finally:
            term.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
