#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tries what stands behind tools/bench and tools/guest-image without booting anything: reading a guest's output, each
reason to refuse, the arithmetic, the cpio writer, and that guestbench.c has the kernels the groups name."""
import io
import os
import re
import shutil
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tools"))
from isotools import benchstats as bs  # noqa: E402
from isotools.initramfs import Initramfs  # noqa: E402

OUTPUT = ("[ 1.0] noise\r\r\nISOMER-FACT kpti on\r\r\nISOMER-FACT cpus 1\r\r\n"
          "KERNEL int       best 0.10000 first 0.20000 sum e943\r\r\nKERNEL call best 2.0 first 2.5 sum ff\r\r\n")


def run(scale=1.0, total="e943"):
    return {"kernels": {"int": {"best": 2.0 * scale, "first": 3.0, "sum": total}, "call": {"best": 1.0, "first": 1.0, "sum": "1"}},
            "boot": {"boot wall": 1.0, "boot guest": 1.0, "power-off": 0.0}, "kpti": "on", "meltdown": "x", "cpus": "1"}


class Arithmetic(unittest.TestCase):
    def test_parse(self):
        got = bs.parse_guest(OUTPUT)
        self.assertEqual(got["kernels"]["int"], {"best": 0.1, "first": 0.2, "sum": "e943"})
        self.assertEqual((got["kpti"], got["cpus"], len(got["kernels"])), ("on", "1", 2))
        with self.assertRaises(bs.Refused):
            bs.parse_guest(OUTPUT + "UNSTABLE int: 1, then 2\r\n")

    def test_clock(self):
        bs.check_clock("x", 10.0, 10.25)
        for guest in (9.6, 10.4):
            with self.assertRaises(bs.Refused):
                bs.check_clock("x", 10.0, guest)

    def test_kpti(self):
        bs.check_kpti(run(), run())
        with self.assertRaises(bs.Refused):
            bs.check_kpti(run(), {**run(), "kpti": "off"})

    def test_sums(self):
        bs.check_sums({"ours": [run(), run()], "peer": [run()]}, ["int"])
        for bad in ({"ours": [run()], "peer": [run(total="0")]}, {"ours": [run(), run(total="0")], "peer": [run()]}):
            with self.assertRaises(bs.Refused):
                bs.check_sums(bad, ["int"])
        with self.assertRaises(bs.Refused):
            bs.check_sums({"ours": [run()], "peer": [run()]}, ["crc"])

    def test_reduce(self):
        runs = {"ours": [run(1), run(1), run(9)], "peer": [run(2), run(1.5), run(2)]}
        rows = {r["name"]: r for r in bs.reduce_rows(runs, ["int", "call"])}
        self.assertEqual((rows["int"]["ours"], rows["int"]["peer"], rows["int"]["ratio"]), (2.0, 4.0, 2.0))
        self.assertAlmostEqual(rows["int"]["spread"], 8.0)
        means = bs.geomeans(rows.values())
        self.assertAlmostEqual(means["integer"], 2 ** 0.5)
        self.assertNotIn("system", means)
        self.assertIn("2.00", bs.table(list(rows.values()), means, "ours", "peer"))

    def test_kernel_names(self):
        with open(os.path.join(HERE, "guestbench.c"), encoding="utf-8") as stream:
            table = re.findall(r'\{"(\w+)", run_\w+\}', stream.read())
        self.assertEqual(sorted(table), sorted(bs.KERNELS))


class Cpio(unittest.TestCase):
    def test_reads_back(self):
        image = Initramfs()
        image.file("etc/isomer/run", b"true\n", 0o644)
        image.link("bin/sh", "busybox")
        archive = image.archive()
        self.assertEqual(archive, image.archive())
        names = self.members(archive)
        self.assertEqual(names["etc/isomer/run"], (0o100644, b"true\n", (0, 0)))
        self.assertEqual(names["bin/sh"], (0o120777, b"busybox", (0, 0)))
        self.assertEqual(names["dev/console"], (0o020600, b"", (5, 1)))
        order = list(names)
        self.assertLess(order.index("etc"), order.index("etc/isomer"))
        self.assertLess(order.index("etc/isomer"), order.index("etc/isomer/run"))
        if shutil.which("cpio"):
            listed = subprocess.run(["cpio", "-it", "--quiet"], input=archive, stdout=subprocess.PIPE, check=True).stdout
            self.assertEqual(listed.decode().split(), order)

    def members(self, archive):
        stream, found = io.BytesIO(archive), {}
        while True:
            head = stream.read(110)
            self.assertEqual(head[:6], b"070701")
            field = [int(head[6 + 8 * i:14 + 8 * i], 16) for i in range(13)]
            name = stream.read(field[11])[:-1].decode()
            stream.read(-stream.tell() % 4)
            data = stream.read(field[6])
            stream.read(-stream.tell() % 4)
            if name == "TRAILER!!!":
                return found
            found[name] = (field[1], data, (field[9], field[10]))


if __name__ == "__main__":
    unittest.main()
