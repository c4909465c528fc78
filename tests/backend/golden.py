#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Host code as text: compiles the units in golden/units.txt and compares the disassembly with golden/avx.txt and
golden/sse.txt, so that a change in code generation shows in review. golden.py TOOL [--update]."""
import os
import re
import subprocess
import sys

from disassembly import disassemble

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden")
ABSOLUTE = re.compile(r"(movabs r\w+,)0x[0-9a-f]{9,}")  # addresses of exit records and C functions


def text_of(code):
    lines = []
    for offset, insn in disassemble(code):
        if insn == "int3":  # records of operations computed out of line follow
            break
        insn = re.sub(r"^(j\w+|call) 0xf{8,}[0-9a-f]+$", r"\1 <shared>", insn)  # behind the unit: thunks
        insn = re.sub(r"\[rip\+0xf{8}[0-9a-f]+\]", "[<constant>]", insn)
        lines.append(f"  {offset:>3x}  " + ABSOLUTE.sub(r"\1<address>", insn))
    return "\n".join(lines)


def main():
    tool, update = sys.argv[1], "--update" in sys.argv
    out = subprocess.run([tool, os.path.join(HERE, "units.txt")], stdout=subprocess.PIPE, text=True, check=True).stdout
    texts = {"avx": [], "sse": []}
    for line in out.splitlines():
        name, features, code = line.split("\t")
        texts[features].append(f"== {name}\n{text_of(bytes.fromhex(code))}\n")
    bad = 0
    for features, parts in texts.items():
        path, text = os.path.join(HERE, features + ".txt"), "\n".join(parts)
        if update:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            continue
        with open(path, encoding="utf-8") as file:
            wanted = file.read()
        if wanted != text:
            bad = 1
            import difflib
            sys.stdout.writelines(difflib.unified_diff(wanted.splitlines(True), text.splitlines(True), path, "now"))
            print(f"\nHost code changed; if it is better, run golden.py TOOL --update and review {path}.")
    return bad


if __name__ == "__main__":
    sys.exit(main())
