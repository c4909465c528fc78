# SPDX-License-Identifier: MIT
"""A QMP client as small as those in test tools: commands in order, events kept aside."""
import json
import os
import socket
import time


REPLY_SECONDS = 60 * float(os.environ.get("ISOMER_PATIENCE", "1"))


class QmpError(Exception):
    """What came is not what the protocol or the test wants."""


def connect(address, seconds=10):
    """A socket to a path or a (host, port), as soon as somebody listens."""
    deadline = time.monotonic() + seconds
    while True:
        peer = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        try:
            peer.connect(address)
            peer.settimeout(REPLY_SECONDS)
            return peer
        except OSError:
            peer.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


class Qmp:
    """Over a pair of binary files; the greeting and the negotiation are done when it is made."""
    def __init__(self, reader, writer):
        self.reader, self.writer, self.events = reader, writer, []
        self.greeting = self._next()["QMP"]
        self.command("qmp_capabilities")

    @classmethod
    def over(cls, address):
        peer = connect(address)
        return cls(peer.makefile("rb"), peer.makefile("wb"))

    def _next(self):
        line = self.reader.readline()
        if not line:
            raise QmpError("the connection has ended")
        return json.loads(line)

    def command(self, name, **arguments):
        """The value returned; QmpError with the description of an error."""
        request = {"execute": name, **({"arguments": arguments} if arguments else {})}
        self.writer.write(json.dumps(request).encode() + b"\n")
        self.writer.flush()
        while True:
            message = self._next()
            if "event" in message:
                self.events.append(message)
            elif "error" in message:
                raise QmpError(message["error"]["desc"])
            else:
                return message["return"]

    def refuses(self, name, **arguments):
        """The error's description."""
        try:
            self.command(name, **arguments)
        except QmpError as err:
            return str(err)
        raise QmpError(f"{name} succeeded")

    def human(self, line):
        return self.command("human-monitor-command", **{"command-line": line})

    def event(self, name):
        """The data of the first event of this name that was not asked for yet."""
        while True:
            for i, message in enumerate(self.events):
                if message["event"] == name:
                    del self.events[i]
                    return message.get("data", {})
            message = self._next()
            if "event" not in message:
                raise QmpError(f"{message} instead of the event {name}")
            self.events.append(message)
