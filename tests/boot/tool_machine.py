# SPDX-License-Identifier: MIT
"""What tools_boot.py and tools_lines.py share: an emulator that is started by command lines of other tools, and a serial line
that is listened to."""
import contextlib
import os
import re
import socket
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "tools"), os.path.join(HERE, "..", "qmp")]
from isotools import guest  # noqa: E402

PATIENCE = 60 * float(os.environ.get("ISOMER_PATIENCE", "1"))
USERSPACE = b"ISOMER-MARK userspace"


class Failed(Exception):
    """What a tool would have stumbled over."""


class Serial:
    """A serial line's bytes, from a socket or a pipe, collected by a thread."""
    def __init__(self, stream):
        self.stream, self.data, self.at, self.more, self.ended = stream, b"", 0, threading.Condition(), False
        threading.Thread(target=self._collect, daemon=True).start()

    def _collect(self):
        while True:
            try:
                part = self.stream.recv(4096) if isinstance(self.stream, socket.socket) else os.read(self.stream, 4096)
            except OSError:
                part = b""
            with self.more:
                self.data += part
                self.ended = not part
                self.more.notify_all()
            if not part:
                return

    def expect(self, text):
        with self.more:
            self.more.wait_for(lambda: text in self.data[self.at:] or self.ended, PATIENCE)
            found = self.data.find(text, self.at)
            if found < 0:
                raise Failed(f"the guest did not say {text}; its last words: {self.data[-800:].decode(errors='replace')}")
            self.at = found + len(text)


class Emulator:
    """An emulator, what it says it has, a guest for it, and a folder of its own."""
    def __init__(self, emulator, files, folder):
        self.emulator, self.files, self.folder = emulator, files, folder
        self.devices = self.answer("-device", "help")
        self.backends = self.answer("-netdev", "help")
        self.options = self.answer("-h")
        self.initrd = self.path("initrd")
        guest.make_initrd(self.initrd, files)

    def path(self, name):
        return os.path.join(self.folder, name)

    def answer(self, *words, status=0):
        done = subprocess.run([self.emulator, *words], capture_output=True, text=True, timeout=10)
        if done.returncode != status:
            raise Failed(f"{' '.join(words)}: status {done.returncode}: {done.stderr}")
        return done.stdout

    def adapted(self, words):
        """The words without what this emulator does not have."""
        kept, at = [], 0
        while at < len(words):
            name, value = words[at], words[at + 1] if at + 1 < len(words) and not words[at + 1].startswith("-") else None
            lacks = (name == "-device" and f'name "{value.split(",")[0]}"' not in self.devices or
                     name == "-netdev" and not re.search(rf"^{value.split(',')[0]}$", self.backends, re.M) or
                     not re.search(rf"^  {name}\b", self.options, re.M))
            if lacks:
                print(f"  left out: {name} {value or ''}")
            else:
                kept += [name] + ([value] if value else [])
            at += 2 if value else 1
        return kept

    def start(self, words, **more):
        words = [self.emulator, *self.adapted(words)]
        guest.expect_sandbox(words)
        return subprocess.Popen(words, stdin=more.pop("stdin", subprocess.DEVNULL), stdout=more.pop("stdout", None), **more)

    @contextlib.contextmanager
    def running(self, words, **more):
        """A process of these words, which does not outlive the block."""
        process = self.start(words, **more)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def finish(self, process, status=0):
        try:
            got = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failed("it does not end") from None
        if got != status:
            raise Failed(f"exit status {got} instead of {status}")

    def boot(self, append="console=ttyAMA0"):
        return ["-kernel", self.files.kernel, "-initrd", self.initrd, "-append", append]
