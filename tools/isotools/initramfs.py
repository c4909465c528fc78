# SPDX-License-Identifier: MIT
"""Writes initial RAM file systems: the "newc" cpio form that Linux unpacks, gzip around it.

Written here because it makes device nodes without privilege and the same bytes every time (no times, no inode
numbers of the host). Format: Documentation/driver-api/early-userspace/buffer-format.rst in Linux."""
import gzip
import stat


class Initramfs:
    def __init__(self):
        self.entries = {}  # path without leading slash -> (mode, data, device number pair)
        self.folder("dev")
        self.node("dev/console", 5, 1)
        self.node("dev/null", 1, 3)

    def folder(self, path, mode=0o755):
        path = path.strip("/")
        if path and path not in self.entries:
            self._parents(path)
            self.entries[path] = (stat.S_IFDIR | mode, b"", (0, 0))

    def _parents(self, path):
        if "/" in path:
            self.folder(path.rsplit("/", 1)[0])

    def file(self, path, data, mode=0o755):
        path = path.strip("/")
        self._parents(path)
        self.entries[path] = (stat.S_IFREG | mode, data, (0, 0))

    def link(self, path, to):
        path = path.strip("/")
        self._parents(path)
        self.entries[path] = (stat.S_IFLNK | 0o777, to.encode(), (0, 0))

    def node(self, path, major, minor, mode=0o600):
        self._parents(path)
        self.entries[path] = (stat.S_IFCHR | mode, b"", (major, minor))

    def archive(self):
        """The cpio archive, uncompressed. Parents stand before their children because _parents came first."""
        out = bytearray()
        for number, (path, (mode, data, device)) in enumerate(self.entries.items(), 1):
            links = 2 if stat.S_ISDIR(mode) else 1
            out += _member(path, data, number, mode, links, device)
        out += _member("TRAILER!!!", b"", 0, 0, 1, (0, 0))
        out += b"\0" * (-len(out) % 512)
        return bytes(out)

    def write(self, path):
        with open(path, "wb") as stream:
            stream.write(gzip.compress(self.archive(), compresslevel=1, mtime=0))


def _member(path, data, number, mode, links, device):
    name = path.encode() + b"\0"
    #         ino     mode  uid gid nlink  mtime filesize   dev     rdev      namesize   check
    fields = (number, mode, 0, 0, links, 0, len(data), 0, 0, *device, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    head += b"\0" * (-len(head) % 4)
    return head + data + b"\0" * (-len(data) % 4)
