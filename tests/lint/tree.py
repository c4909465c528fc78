# SPDX-License-Identifier: MIT
"""The view of the source tree that every lint gets: a mapping from relative path to text.

`Tree.load` reads what git tracks (plus new files not ignored); without git it walks the folder and leaves out build trees and caches.
`Tree(files)` makes one from a dictionary, which is how the lints' own tests build fixtures. A lint is a
function from a Tree to a list of findings, each "path:line: sentence"; an empty list is success."""
import fnmatch
import os
import subprocess

SKIP_DIRS = ("build*", ".git", ".cache", "__pycache__", "subprojects")
C_SUFFIXES = (".c", ".h")


class Tree:
    def __init__(self, files):
        self.files = dict(files)

    @classmethod
    def load(cls, root):
        files = {}
        for path in _paths(root):
            full = os.path.join(root, path)
            if os.path.islink(full) or not os.path.isfile(full):
                continue
            with open(full, "rb") as stream:
                data = stream.read()
            if b"\0" not in data:
                files[path] = data.decode("utf-8", "replace")
        return cls(files)

    def select(self, *suffixes):
        """(path, text) of the files whose name ends in one of the suffixes, in order."""
        return [(p, t) for p, t in sorted(self.files.items()) if p.endswith(suffixes)]

    def sources(self):
        """C files and headers of the emulator itself; tests and tools may include what they like."""
        return [(p, t) for p, t in self.select(*C_SUFFIXES) if not p.startswith(("tests/", "tools/"))]

    def exists(self, path):
        """A file, a folder, or a glob that matches one."""
        path = path.rstrip("/")
        if "*" in path:
            return any(fnmatch.fnmatchcase(p, path) for p in self.files)
        return path in self.files or any(p.startswith(path + "/") for p in self.files)


def _paths(root):
    listing = subprocess.run(["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False) if _has_git(root) else None
    if listing and listing.returncode == 0:
        return [p for p in listing.stdout.decode().split("\0") if p]
    found = []
    for folder, dirs, names in os.walk(root):
        dirs[:] = [d for d in dirs if not any(fnmatch.fnmatch(d, s) for s in SKIP_DIRS)]
        found += [os.path.relpath(os.path.join(folder, n), root) for n in names]
    return found


def _has_git(root):
    if not os.path.exists(os.path.join(root, ".git")):
        return False
    return subprocess.run(["sh", "-c", "command -v git"], stdout=subprocess.DEVNULL, check=False).returncode == 0
