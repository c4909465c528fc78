#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes docs/ir.md, the reference page of the IR, from ir/ops.def: gen_ir_doc.py [--check] [--root DIR].

With --check nothing is written; the exit status is 1 if the page is not what the table says."""
import argparse
import os
import re
import sys

ROW = re.compile(r'^OP\((\w+),\s*(\w+),\s*(\w+),\s*(\w+),\s*(\w+),\s*(\w+),\s*([^"]*?),\s*"(.*)"\)\s*$')
SECTION = re.compile(r"^// -+ (.*?) -+$")
KINDS = {"V": "", "T": "T", "I": "I", "F": "F", "VEC": "v128", "FL": "flags", "B": "i1", "W": "i32", "D": "i64",
         "S": "same", "S0": "as arg0", "ANY": "any"}

INTRO = """# The IR

Generated from `ir/ops.def` by `tools/gen_ir_doc.py`; do not edit.

A *unit* is a list of blocks, a block a run of instructions that ends in one terminator. Values are typed and defined
once; a value may be used later in its block and in blocks that its block dominates. There are no phis: what varies
around a loop lives in state fields (`get`, `put`). The rules are checked by `ir_verify`, the text form is written by
`ir_print` and read by `ir_parse`, and `ir_interpret` and `ir_eval` define what each op means. How `sub`, `attr` and
`imm` are spelled in text is in `ir/ops.c`.

```
b0:
  insn 0x40, len=4
  %1 = get.i64 x0
  %2 = const.i64 0x10
  %3 = add.i64 %1, %2
  %4 = ld.i32 %3, {4 s align4 mmu1}
  put w0, %4
  exit_pc 0x44
```

**Types.** i1 i8 i16 i32 i64, f16 f32 f64, v128, flags. Below, T is any of them, I an integer, F a float, or v128 taken
lane by lane with lanes of `8 << sub` bits; "same" is the result's type. N is the width in bits of the own type, or of
arg0 where the result's type is fixed.

**Effects.** pure: no effect, may be removed and merged. comm: arg0 and arg1 commute. fpx: may raise floating point
exceptions, which accumulate in the state. fault: may leave the unit with a guest fault. term: ends its block. mem_r,
mem_w, st_r, st_w: guest memory and state, read and written. bar: orders what is around it.
"""


def parse(text):
    """[(section, [row]), ...] with row = (name, result, args, flags, semantics)."""
    sections = []
    for number, line in enumerate(text.splitlines(), 1):
        head = SECTION.match(line)
        if head:
            sections.append((head.group(1), []))
        elif line.startswith("OP("):
            row = ROW.match(line)
            if not row or not sections:
                raise ValueError(f"ir/ops.def:{number}: cannot read the row")
            name, result, *args, flags, meaning = row.groups()
            flags = [f.strip().lower() for f in flags.split("|") if f.strip() not in ("", "0")]
            sections[-1][1].append((name, KINDS[result], [KINDS[a] for a in args if a != "_"], flags, meaning))
    return sections


def render(sections):
    out = [INTRO]
    for title, rows in sections:
        title = title.split(":")[0]
        out.append(f"## {title[0].upper()}{title[1:]}\n")
        out.append("| op | result | arguments | effects | meaning |\n| --- | --- | --- | --- | --- |")
        for name, result, args, flags, meaning in rows:
            meaning = meaning.replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")
            out.append(f"| **{name}** | {result} | {', '.join(args)} | {' '.join(flags)} | {meaning} |")
        out.append("")
    return "\n".join(out)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--root", default=os.path.dirname(here))
    args = parser.parse_args()
    with open(os.path.join(args.root, "ir", "ops.def"), encoding="utf-8") as stream:
        page = render(parse(stream.read()))
    path = os.path.join(args.root, "docs", "ir.md")
    if not args.check:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(page)
        return 0
    try:
        with open(path, encoding="utf-8") as stream:
            current = stream.read() == page
    except OSError:
        current = False
    if not current:
        print("docs/ir.md:1: is not what ir/ops.def says; run tools/gen_ir_doc.py.")
    return 0 if current else 1


if __name__ == "__main__":
    sys.exit(main())
