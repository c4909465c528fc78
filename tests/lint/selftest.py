#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Shows that each lint can fail: every case gives a lint a small tree with one fault and expects exactly the named
finding, and the same tree mended and expects none. The test summary of tools/test is tried the same way."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
import docs_names  # noqa: E402
import files  # noqa: E402
import includes  # noqa: E402
import state  # noqa: E402
from isotools import summary  # noqa: E402
from tree import Tree  # noqa: E402

RULES = includes.parse_layers("| folder | holds |\n|---|---|\n| `tests` | `x` |\n\n| folder | may use | never |\n| --- | --- | --- |\n"
                              "| `base` | | all else |\n| `mem` | `base` | `hw` |\n"
                              "| `hw` | `mem` `base` `accel/ports.h` `host/*.h` | |\n| `machines` | `hw` `base` | |\n| `accel` | | |\n"
                              "| `host` | | |\n\n| `ir` | `hw` | |\n")
HEAD = "// SPDX-License-Identifier: MIT\n// Owns the thing and keeps it small.\n"


class Lints(unittest.TestCase):
    def layers(self, path, header, extra=()):
        files_ = {path: f'#include <stdio.h>\n#include "{header}"\n', header: "", **dict.fromkeys(extra, "")}
        return includes.check_layers(Tree(files_), RULES)

    def test_layers(self):
        self.assertEqual(len(self.layers("hw/uart.c", "machines/virt.h")), 1)
        self.assertIn("hw/uart.c:2:", self.layers("hw/uart.c", "accel/jit.h")[0])
        self.assertEqual(len(self.layers("hw/uart.c", "host/net/slirp.h")), 1)
        self.assertEqual(len(self.layers("base/a.c", "mem/ram.h")), 1)
        for good in ("mem/ram.h", "base/a.h", "accel/ports.h", "host/chardev.h", "hw/core/dev.h"):
            self.assertEqual(self.layers("hw/uart.c", good), [], good)

    def test_table(self):
        self.assertEqual(RULES, {"base": [], "mem": ["base"], "hw": ["mem", "base", "accel/ports.h", "host/*.h"],
                                 "machines": ["hw", "base"], "accel": [], "host": []})
        self.assertEqual(len(includes.check_layers(Tree({"extra/a.c": ""}), RULES)), 1)

    def test_private_headers(self):
        self.assertEqual(len(self.layers("machines/v.c", "hw/gic/gic_internal.h")), 1)
        self.assertEqual(len(self.layers("hw/uart.c", "hw/gic/gic_internal.h")), 1)
        self.assertEqual(self.layers("hw/gic/a.c", "hw/gic/gic_internal.h"), [])

    def test_relative_include(self):
        tree = Tree({"hw/a.c": '#include "../machines/m.h"\n', "machines/m.h": ""})
        self.assertEqual(len(includes.check_layers(tree, RULES)), 1)

    def test_cycles(self):
        loop = {"ir/a.h": '#include "ir/b.h"\n', "ir/b.h": '#include "c.h"\n', "ir/c.h": '#include "ir/a.h"\n'}
        found = includes.check_cycles(Tree(loop))
        self.assertEqual(len(found), 1)
        self.assertIn("ir/a.h -> ir/b.h -> ir/c.h -> ir/a.h", found[0])
        self.assertEqual(includes.check_cycles(Tree({**loop, "ir/c.h": ""})), [])

    def test_sizes(self):
        self.assertEqual(len(files.check_sizes(Tree({"a.c": "x\n" * 1001}))[0]), 1)
        self.assertEqual(files.check_sizes(Tree({"a.c": "x\n" * 1000}))[0], [])
        self.assertEqual(len(files.check_sizes(Tree({"a.c": "x\n" * 601}))[1]), 1)
        self.assertEqual(files.check_sizes(Tree({"a.decode": "x\n" * 5000})), ([], []))

    def test_openings(self):
        self.assertEqual(files.check_openings(Tree({"a.c": HEAD + "int x;\n"})), [])
        self.assertEqual(files.check_openings(Tree({"t": "#!/bin/sh\n# SPDX-License-Identifier: MIT\n"
                                                         "# Does one thing and well.\n"})), [])
        for bad in ("int x;\n", "// Owns the thing and keeps it.\n", "// SPDX-License-Identifier: MIT\n#include <a.h>\n",
                    "// SPDX-License-Identifier: MIT\n// thing\nint four_more_words_here, x, y;\n", ""):
            self.assertEqual(len(files.check_openings(Tree({"a.c": bad + "\n"}))), 1, bad)

    def test_forbidden(self):
        for bad in ("see /wo" + "rk/main", "http://deb.debian" + ".org/debian"):
            self.assertEqual(len(files.check_forbidden(Tree({"a.c": bad}))), 1, bad)
        self.assertEqual(files.check_forbidden(Tree({"a.c": "homework/done, net/work/x"})), [])

    def test_docs(self):
        tree = {"ir/ir.h": "int ir_new(void);", "tools/run": "#!/bin/sh\nshell_word\n"}
        good = "`ir/ir.h` `ir/` `ir/{ir}.h` `ir_new()` `shell_word` `-accel jit` `build/x_y.c` `ADD/SUB`\n```\nno/such ir_no\n```\n"
        self.assertEqual(docs_names.check_docs(Tree({**tree, "docs/a.md": good})), [])
        for bad in ("`ir/gone.h`", "`ir_gone`", "`ir_gone()`", "`struct ir_gone`", "`gone.c`", "`ir/{ir,gone}.h`", "`IR_GONE`"):
            self.assertEqual(len(docs_names.check_docs(Tree({**tree, "docs/a.md": bad}))), 1, bad)

    def test_state(self):
        listing = ("hw/a.o:     file format elf64-x86-64\n\nSYMBOL TABLE:\n"
                   "0000000000000000 l    d  .data\t0000000000000000 .data\n"
                   "0000000000000000 l     O .bss\t0000000000000004 counter.0\n"
                   "0000000000000000 g     O .data\t0000000000000004 .hidden level\n"
                   "0000000000000000 l     O .data.rel.ro.local\t0000000000000010 table\n"
                   "0000000000000000 l     O .rodata\t0000000000000010 names\n"
                   "0000000000000000 l     O .tbss\t0000000000000008 self\n"
                   "0000000000000000 g     F .text\t0000000000000010 run\n")
        found = state.findings_of(listing, [])
        self.assertEqual([f.split()[1] for f in found], ["counter", "level", "self"])
        allowed = state.parse_allow("hw/*.o counter because\nhw/a.o level because # note\n*.o self\n")
        self.assertEqual([f.split()[1] for f in state.findings_of(listing, allowed)], ["self"])

    def test_summary(self):
        row = '{"name": "%s", "result": "%s", "stdout": "x\\nskip: no /dev/kvm\\ny\\n"}'
        report, status = summary.summarise([row % ("a", "OK"), row % ("b", "SKIP")], 0)
        self.assertEqual((report, status), (["skipped: b: no /dev/kvm", "1 passed, 0 failed, 1 skipped"], 0))
        report, status = summary.summarise([row % ("a", "OK"), row % ("b", "TIMEOUT")], 1)
        self.assertEqual((report[-1], status), ("1 passed, 1 failed, 0 skipped", 1))
        self.assertEqual(summary.summarise([], 0)[1], 1)


if __name__ == "__main__":
    unittest.main()
