# SPDX-License-Identifier: MIT
"""An emulator on a pseudo-terminal: start it, wait for text on the guest's console with a deadline, type, end
it.

Every byte is stamped when it arrives, with the host's monotonic clock and the emulator's processor time, so
that `expect` and `spent` can say when a mark was printed and what it took to get there. Failures are
ConsoleError with the last lines of the console in the message. The process is ended when the context manager
closes, whatever happened."""
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
import tty


class ConsoleError(Exception):
    """The guest or the emulator did not do what was waited for."""


class Console:
    def __init__(self, command, log=None):
        master, slave = pty.openpty()
        tty.setraw(slave, termios.TCSANOW)
        self.log = open(log, "wb") if log else None
        self.buffer, self.arrivals, self.mark, self.eof = bytearray(), [], 0, False
        self.started = time.monotonic()
        try:
            self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        except OSError as err:
            os.close(master)
            raise ConsoleError(f"{command[0]} does not start: {err.strerror}.") from err
        finally:
            os.close(slave)
        self.master = master
        self.command = command

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.master is not None:
            os.close(self.master)
            self.master = None
        if self.log:
            self.log.close()
            self.log = None

    def text(self):
        return self.buffer.decode("utf-8", "replace").replace("\r", "")

    def tail(self, lines=12):
        return "\n".join("  | " + line for line in self.text().splitlines()[-lines:])

    def _read(self, seconds):
        """Takes what has arrived, waiting at most this long for something to."""
        if self.eof or not select.select([self.master], [], [], max(seconds, 0))[0]:
            return
        try:
            data = os.read(self.master, 65536)
        except OSError:  # the last holder of the other side is gone
            data = b""
        if not data:
            self.eof = True
            return
        self.buffer += data
        self.arrivals.append((len(self.buffer), time.monotonic(), self._processor_time()))
        if self.log:
            self.log.write(data)
            self.log.flush()

    def _processor_time(self):
        """Seconds that all threads of the emulator have run, by its CPU clock (Linux: include/linux/posix-timers.h)."""
        try:
            return time.clock_gettime(~self.process.pid << 3 | 2)
        except OSError:  # it has ended
            return self.arrivals[-1][2] if self.arrivals else 0.0

    def _arrival(self, offset):
        return next((when for end, when, _ in self.arrivals if end >= offset), self.started)

    def spent(self, pattern):
        """[(match, processor time of the emulator when it arrived)] of everything printed that matches."""
        return [(match, next((spent for end, _, spent in self.arrivals if end >= match.end()), 0.0))
                for match in re.finditer(pattern.encode(), self.buffer, re.M)]

    def expect(self, pattern, seconds, forbidden=None):
        """(match, host time of its last byte). Searches from where the last match ended; ^ and $ are line
        ends; a line may end in several carriage returns, as each terminal on the way adds one."""
        wanted = re.compile(pattern.encode(), re.M | re.S)
        never = re.compile(forbidden.encode(), re.M) if forbidden else None
        deadline = time.monotonic() + seconds
        while True:
            match = wanted.search(self.buffer, self.mark)
            if match:
                self.mark = match.end()
                return match, self._arrival(match.end())
            if never and never.search(self.buffer, self.mark):
                raise ConsoleError(f"the guest printed what it never should ({forbidden}):\n{self.tail(25)}")
            if self.eof:
                status = self.wait(5)
                raise ConsoleError(f"the emulator ended (status {status}) before '{pattern}':\n{self.tail()}")
            if time.monotonic() >= deadline:
                raise ConsoleError(f"no '{pattern}' within {seconds:.0f} s; the console ends with:\n{self.tail()}")
            self._read(min(deadline - time.monotonic(), 1.0))

    def seen(self, pattern):
        """(match, host time) of what has been printed already, or None. Does not move where `expect` searches from."""
        match = re.search(pattern.encode(), self.buffer, re.M)
        return (match, self._arrival(match.end())) if match else None

    def send(self, text):
        """Types the text; a full pseudo-terminal makes this wait, as a person's terminal would."""
        data = text.encode()
        while data:
            readable, writable, _ = select.select([self.master], [self.master], [], 10)
            if readable:
                self._read(0)
            if not writable:
                if self.eof or not readable:
                    raise ConsoleError(f"the emulator takes no input:\n{self.tail()}")
                continue
            data = data[os.write(self.master, data[:64]):]

    def shell(self, command, prompt, seconds=30):
        """(output, status) of a command typed at the guest's shell, which stands at its prompt before and after."""
        self.send(f'echo @"begin"; {command}; echo @"end"$?\r')
        match, _ = self.expect(r"@begin\r*\n(.*?)@end(\d+)", seconds)
        self.expect(prompt, seconds)
        return match.group(1).decode("utf-8", "replace").replace("\r", "").strip(), int(match.group(2))

    def monitor(self, command, seconds, forbidden=None):
        """What the monitor answers that shares the terminal (-nographic); the keys are the guest's again afterwards."""
        prompt = r"\(qemu\) "
        self.send("\x01c\r")
        self.expect(prompt, seconds, forbidden)
        self.send(command + "\r")
        match, _ = self.expect(re.escape(command) + r"\r*\n(.*?)" + prompt, seconds, forbidden)
        self.send("\x01c")
        return match.group(1).decode("utf-8", "replace").replace("\r", "")

    def wait(self, seconds):
        """The emulator's exit status; its output is taken meanwhile."""
        deadline = time.monotonic() + seconds
        while not self.eof and time.monotonic() < deadline:
            self._read(min(deadline - time.monotonic(), 1.0))
        try:
            return self.process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            raise ConsoleError(f"the emulator did not end within {seconds:.0f} s:\n{self.tail()}") from None
