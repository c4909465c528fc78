# SPDX-License-Identifier: MIT
"""Lint: each path and each symbol that the documentation names exists.

Looked at: text between single backticks in docs/*.md, README.md and CONTRIBUTING.md, fenced blocks left out. A word
with a slash is a path if its first part is a folder or file of the tree or it ends in a source suffix; a word with an underscore, or one ending
in "()", is a symbol and must occur as a whole word in some source file. Anything else (options, shell commands,
instruction names) is not checked."""
import re

FENCE = re.compile(r"^(```|~~~).*?^\1[ \t]*$", re.M | re.S)
SPAN = re.compile(r"`([^`\n]+)`")
PATH = re.compile(r"^[\w.*-]+(/[\w.*{},-]+)*/?$")
SYMBOL = re.compile(r"^(struct |enum )?([a-z][a-z0-9]*(_[a-z0-9]+)+|[A-Z][A-Z0-9]*(_[A-Z0-9]+)+|[a-z]\w*(?=\(\)))(\(\))?$")
SOURCE = (".c", ".h", ".S", ".def", ".decode", ".py", ".sh", ".build", ".txt")
NOT_IN_TREE = ("build", ".cache")


def documents(tree):
    return [(p, t) for p, t in tree.select(".md") if p.startswith("docs/") or "/" not in p]


def spans(text):
    text = FENCE.sub(lambda m: "\n" * m.group(0).count("\n"), text)
    for match in SPAN.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match.group(1).strip()


def check_docs(tree):
    tops = {p.split("/", 1)[0] for p in tree.files}
    words = set()
    for path, text in sorted(tree.files.items()):
        if path.endswith(SOURCE) or text.startswith("#!"):
            words.update(re.findall(r"\w+", text))
    findings = []
    for path, text in documents(tree):
        for line, span in spans(text):
            first = span.split("/", 1)[0]
            if PATH.match(span) and not span.startswith(NOT_IN_TREE) and \
                    ("/" in span and first in tops or span.endswith((".c", ".h", ".def", ".decode", ".py"))):
                named = [span]
                brace = re.match(r"^(.*)\{(.*)\}(.*)$", span)
                if brace:
                    named = [brace.group(1) + part + brace.group(3) for part in brace.group(2).split(",")]
                for name in named:
                    if not tree.exists(name):
                        findings.append(f"{path}:{line}: there is no {name}.")
                continue
            symbol = SYMBOL.match(span)
            if symbol and symbol.group(2) not in words:
                findings.append(f"{path}:{line}: no source file mentions {symbol.group(2)}.")
    return findings
