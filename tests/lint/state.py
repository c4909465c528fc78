# SPDX-License-Identifier: MIT
"""Lint: no mutable file-scope state in the emulator, judged on the objects the compiler made.

Two machines must run in one process, so nothing outside a machine's own structures may change. Every object of
the emulator's folders is listed with objdump; a symbol that has a size in .data, .bss, thread-local or common
storage is a finding unless state.allow names it with a reason. Read-only data, relocated or not, is fine."""
import fnmatch
import os
import re
import subprocess

# objdump -t: address, seven flag characters, section, tab, size, name
SYMBOL = re.compile(r"^[0-9a-f]+ (.{7}) (\S+)\t([0-9a-f]+)\s+(?:\.\w+ )?(.+)$")
WRITABLE = (".data", ".bss", ".tdata", ".tbss", "*COM*")
LEFT_OUT = ("tests", "tools")


def writable_symbols(listing):
    """(object, symbol) for each symbol with storage that can change, from objdump's text."""
    found, current = [], "?"
    for line in listing.splitlines():
        if ":     file format" in line:
            current = line.split(":", 1)[0]
            continue
        match = SYMBOL.match(line)
        if not match:
            continue
        flags, section, size, name = match.groups()
        if not section.startswith(WRITABLE) or section.startswith(".data.rel.ro") or int(size, 16) == 0:
            continue
        if "d" in flags:  # the section's own symbol
            continue
        found.append((current, name))
    return found


def parse_allow(text):
    rules = []
    for line in text.splitlines():
        line = line.split("#", 1)[0].split(None, 2)
        if len(line) == 3:
            rules.append((line[0], line[1]))
    return rules


def objects(build):
    found = []
    for folder, dirs, names in os.walk(build):
        if folder == build:
            dirs[:] = [d for d in dirs if d not in LEFT_OUT and not d.startswith("meson-")]
        found += [os.path.join(folder, n) for n in names if n.endswith(".o")]
    return sorted(found)


def findings_of(listing, rules, build=""):
    out = []
    for path, name in writable_symbols(listing):
        source = os.path.relpath(path, build) if build else path
        plain = re.sub(r"\.\d+$", "", name)
        if not any(fnmatch.fnmatch(source, obj) and fnmatch.fnmatch(plain, sym) for obj, sym in rules):
            out.append(f"{source}:1: {plain} is mutable file-scope state.")
    return out


def check_state(build, allow_text):
    paths = objects(build)
    if not paths:
        return [f"{build}:1: holds no object files; build first."]
    listing = subprocess.run(["objdump", "-t", *paths], stdout=subprocess.PIPE, text=True, check=True).stdout
    return findings_of(listing, parse_allow(allow_text), build)
