#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the optimising tier makes of single operations and of loops: how many instructions at most, and which must or
must not be among them, so that a vector that falls apart into scalars shows. llvm_code.py TOOL [--print].

llvm_code.txt has lines "operation | limit | patterns": operands a, b, c are v128 state, x and y f64, i i64; the limit counts
what is neither a move nor a jump, up to the region's first exit; a pattern is a mnemonic that must be there, or after
"!" must not be anywhere. Lines "@sse" and "@avx" choose the host. Behind "@units" whole units follow, "== name" and
in their next line the limit and the patterns again, which hold for the shortest loop that
has the wanted: the copy without checks."""
import os
import re
import subprocess
import sys
import tempfile

from disassembly import disassemble

TEXT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "llvm_code.txt")
OPERANDS = {"a": "v128 v0", "b": "v128 v1", "c": "v128 v2", "x": "f64 d0", "y": "f64 d1", "i": "i64 x0"}
IGNORED = re.compile(r"v?mov(?!msk|[sz]x)\w*$|lea$|nop\w*$|push$|pop$|j\w+$|data16$|cs$|xchg$|v?xorp[sd]-zero$")


def unit_of(operation):
    names = [n for n in OPERANDS if re.search(rf"(?<= ){n}(?=,|$)", operation)]
    numbers = {n: f"%{k}" for k, n in enumerate(names, 1)}
    text = re.sub(r"(?<= )[abcxyi](?=,|$)", lambda m: numbers[m.group(0)], operation)
    result = len(names) + 1
    field = {"f2i": "x5", "vget": "x5", "fcmp": "flags"}.get(re.match(r"\w+", operation).group(0), "v5")
    if ".f64" in operation:
        field = "d3"
    gets = "".join(f"  %{k} = get.{OPERANDS[n]}\n" for k, n in enumerate(names, 1))
    return f"== {operation}\nb0:\n  insn 0x0, len=4\n{gets}  %{result} = {text}\n  put {field}, %{result}\n  exit_pc 0x4\n"


def hot_part(insns, loop, patterns):
    if loop:
        place = {at: k for k, (at, _) in enumerate(insns)}
        back = [(place[to], k) for k, (at, text) in enumerate(insns)
                if (m := re.match(r"j\w+ +0x([0-9a-f]+)$", text)) and (to := int(m.group(1), 16)) <= at and to in place]
        wanted = [p for p in patterns if not p.startswith("!")]
        parts = [insns[first:last + 1] for first, last in back]
        whole = [part for part in parts if all(any(re.fullmatch(p, t.split()[0]) for _, t in part) for p in wanted)]
        return min(whole, key=len, default=insns)
    jump = [k for k, (_, text) in enumerate(insns) if text.startswith("jmp")]
    return insns[:jump[0]] if jump else insns


def check(name, code, limit, patterns, loop):
    insns = disassemble(code)
    hot = [text for _, text in hot_part(insns, loop, patterns)]
    words = [text.split()[0] for text in hot]
    zero = re.compile(r"v?p?xor(p[sd])? (\w+),(\2,)?\2$")
    count = sum(not IGNORED.match(w) and not zero.match(t) for w, t in zip(words, hot))
    wrong = [f"{count} instructions, at most {limit} wanted"] if count > limit else []
    for pattern in patterns:
        found = any(re.fullmatch(pattern.lstrip("!"), w) for w in words)
        if found == pattern.startswith("!"):
            wrong.append(pattern)
    if wrong:
        print(f"{name}: {', '.join(wrong)}:\n  " + "\n  ".join(hot))
    return bool(wrong), count


def read():
    cases, host, name = [], "avx", None
    with open(TEXT, encoding="utf-8") as file:
        lines = [line.rstrip() for line in file if not line.startswith("#")]
    for k, line in enumerate(lines):
        if line == "@units":
            parts = "\n".join(lines[k + 1:]).split("== ")[1:]
            for part in parts:
                name, wants, body = part.split("\n", 2)
                limit, patterns = wants.split("|", 1)
                cases.append(("avx", name, f"== {name}\n{body}\n", int(limit), patterns.split(), True))
            break
        if line.startswith("@"):
            host = line[1:]
        elif line:
            name, limit, patterns = (part.strip() for part in line.split("|", 2))
            cases.append((host, name, unit_of(name), int(limit), patterns.split(), False))
    return cases


def main():
    tool, bad = sys.argv[1], False
    for host in ("avx", "sse"):
        cases = [case for case in read() if case[0] == host]
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write("\n".join(case[2] for case in cases))
            file.flush()
            out = subprocess.run([tool, file.name] + (["sse"] if host == "sse" else []), stdout=subprocess.PIPE, text=True,
                                 check=True).stdout.splitlines()
        for (_, name, _, limit, patterns, loop), line in zip(cases, out):
            wrong, count = check(f"{host}: {name}", bytes.fromhex(line.split("\t")[1]), limit, patterns, loop)
            bad |= wrong
            if "--print" in sys.argv:
                print(f"{host}: {name} | {count}")
        if len(out) != len(cases):
            print(f"{host}: {len(cases)} units, {len(out)} compiled")
            bad = True
    return bad


if __name__ == "__main__":
    sys.exit(main())
