#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes docs/calls.md, the list of what translated code still calls and why: gen_calls_doc.py [--check] [--root DIR].

From the tables of ops that each backend leaves to ir_eval (backends/x64/evaluate.c, backends/llvm/lower_eval.c) and of
the helpers of the A64 frontend (frontends/a64/helpers.def, helpers_simd.def). --check compares instead: the suite does."""
import argparse
import os
import re
import sys

INTRO = """# What translated code calls

Written by `tools/gen_calls_doc.py` from the tables; do not edit.

Everything is host code in line but what stands here. Besides, memory accesses that miss the inline table call the runtime;
in regions only loads in loops at addresses that do not step do, others leave for the one-pass unit of the same
instruction. FP operations whose operands or results are exceptional (NaN, infinity, subnormal; exact zeros of sums and
products are not) are computed again by `ir_eval`.

## Operations left to `ir_eval`

By the one-pass tier always: every f16 operation, flushing to zero, a rounding mode other than the unit's. By the optimising
tier too, and all FP arithmetic of a unit that does not round to nearest, or behind a helper that may change FPSR. A dash: in
line always. A region is refused rather than made with a call that its units would not make, unless the op is rare.

| op | fast tier (`backends/x64/`) | optimising tier (`backends/llvm/`) |
| --- | --- | --- |
"""

HELPERS = """
## Helpers of the A64 frontend

What IR has no op for: exceptions, system registers, barriers that other CPUs take part in, waiting, and steps of
cryptography without a common host instruction.

| helper | effects | arguments and purpose |
| --- | --- | --- |
"""

EFFECTS = [("STATE", "reads and writes state"), ("WAITS", "state true, may wait for other CPUs"),
           ("IR_HELPER_FP_FLAGS", "FP exceptions"), ("IR_HELPER_IMPURE", "not removable"), ("EXITS", "may leave"),
           ("IR_HELPER_KEEPS_SPANS", "keeps spans")]


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as stream:
        return stream.read()


def evaluated(text):
    return dict(re.findall(r'\{ IR_OP_(\w+), (?:true, |false, )?"([^"]*)" \}', text))


def helpers(text):
    for name, flags, comment in re.findall(r"^HELPER\((\w+), *([^,]+),.*?\)(?: *// *(.*))?$", text, re.M):
        words = flags.replace("|", " ").split()
        effects = [meaning for word, meaning in EFFECTS if word in words]
        yield f"| {name} | {', '.join(effects) or 'none'} | {comment or name.replace('_', ' ')} |"


def render(root):
    fast, region = evaluated(read(root, "backends/x64/evaluate.c")), evaluated(read(root, "backends/llvm/lower_eval.c"))
    order = re.findall(r"^OP\((\w+),", read(root, "ir/ops.def"), re.M)
    rows = [f"| {op} | {fast.get(op, '-')} | {region.get(op, '-')} |" for op in order if op in fast or op in region]
    assert set(fast) | set(region) <= set(order)
    calls = [row for name in ("helpers.def", "helpers_simd.def") for row in helpers(read(root, "frontends/a64/" + name))]
    return INTRO + "\n".join(rows) + "\n" + HELPERS + "\n".join(calls) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--root", default=os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    args = parser.parse_args()
    page, path = render(args.root), os.path.join(args.root, "docs", "calls.md")
    if not args.check:
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(page)
        return 0
    if not os.path.exists(path) or read(args.root, "docs/calls.md") != page:
        print("docs/calls.md:1: is not what the tables say; run tools/gen_calls_doc.py.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
