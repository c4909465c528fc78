# SPDX-License-Identifier: MIT
"""Lints over #include lines: who may use whom (the table in docs/architecture.md), and no cycles among headers.

The project includes its own headers by path from the root ("ir/ir.h") or by name from the same folder. A
quoted include that matches neither is taken for a generated or system header and left alone."""
import fnmatch
import posixpath
import re

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', re.M)
PRIVATE = ("_internal.h", "_priv.h")


def parse_layers(text):
    """{folder: [what it may use]} from the table headed "folder | may use | never" in docs/architecture.md. A word is a
    top-level folder, or a pattern for single headers in which * does not cross a slash."""
    rules, inside = {}, False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if cells[:2] == ["folder", "may use"]:
            inside = True
        elif inside and not line.startswith("|"):
            break
        elif inside and len(cells) >= 2 and "`" in cells[0]:
            rules[cells[0].strip("`")] = re.findall(r"`([^`]+)`", cells[1])
    return rules


def includes(tree, path, text):
    """(line, resolved path) of each include of a header in the tree."""
    for match in INCLUDE.finditer(text):
        name = match.group(1)
        for candidate in (name, posixpath.normpath(posixpath.join(posixpath.dirname(path), name))):
            if candidate in tree.files:
                yield text.count("\n", 0, match.start()) + 1, candidate
                break


def _covers(word, header):
    if "*" not in word and not word.endswith(".h"):
        return header.startswith(word + "/")
    return word.count("/") == header.count("/") and fnmatch.fnmatchcase(header, word)


def check_layers(tree, rules):
    findings = []
    for path, text in tree.sources():
        if "/" in path and path.split("/", 1)[0] not in rules:
            findings.append(f"{path}:1: its folder is not in the table of who may use whom.")
        owners = [f for f in rules if path.startswith(f + "/")]
        if not owners:
            continue
        owner = max(owners, key=len)
        for line, header in includes(tree, path, text):
            same_folder = posixpath.dirname(header) == posixpath.dirname(path)
            if header.endswith(PRIVATE) and not same_folder:
                findings.append(f"{path}:{line}: {header} is private to {posixpath.dirname(header)}/.")
            elif not header.startswith(owner + "/") and not any(_covers(w, header) for w in rules[owner]):
                findings.append(f"{path}:{line}: {owner}/ may not include {header}"
                                f" (it may use: {' '.join(rules[owner]) or 'nothing'}).")
    return findings


def check_cycles(tree):
    graph = {p: [h for _, h in includes(tree, p, t)] for p, t in tree.select(".h")}
    findings, state = [], {}

    def visit(node, trail):
        state[node] = "open"
        for after in graph.get(node, []):
            if state.get(after) == "open":
                loop = trail[trail.index(after):] if after in trail else [after]
                findings.append(f"{node}:1: include cycle: {' -> '.join(loop + [after])}.")
            elif after not in state:
                visit(after, trail + [after])
        state[node] = "done"

    for node in sorted(graph):
        if node not in state:
            visit(node, [node])
    return findings
