#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tries what stands behind tools/bench and tools/guest-image without booting anything: choosing rows, reading
a guest's output, each reason to refuse, the arithmetic, the tables and the JSON, and that the rows named are
the rows there are."""
import importlib.machinery
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import types
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TOOLS = os.path.join(HERE, "..", "..", "tools")
sys.path.insert(0, TOOLS)
sys.dont_write_bytecode = True
from isotools import benchguest, benchreport, benchrun, profiletable, programs, workdata  # noqa: E402
from isotools import benchstats as bs  # noqa: E402
from isotools.benchstats import Refused  # noqa: E402
from isotools.console import ConsoleError  # noqa: E402
from isotools.initramfs import Initramfs  # noqa: E402

OUTPUT = ("[ 1.0] noise\r\r\nISOMER-FACT kpti on\r\r\nISOMER-FACT cpus 1\r\r\n"
          "KERNEL int       best 0.10000 first 0.20000 sum e943\r\r\nKERNEL openssl-aes best 2.0 first 2.5 sum ff\r\r\n")
FACTS = {"kpti": "on", "meltdown": "x", "cpus": "1"}


def timed(seconds, total="e943"):
    return {"best": seconds, "first": seconds, "sum": total}


def round_of(failed=None, **seconds):
    return {"rows": {name: timed(value) for name, value in seconds.items()}, "failed": failed or {}, "sessions": {}}


def options(**more):
    return types.SimpleNamespace(runs=2, reps=1, program_reps=1, logs=None, timeout=5, machine="virt", memory="512",
                                 append="", guest="cloud", **more)


class Rows(unittest.TestCase):
    def test_choose(self):
        self.assertEqual(bs.choose(), list(bs.ROWS))
        self.assertEqual(bs.choose("exec,int"), ["int", "exec"])
        self.assertEqual(bs.choose("fork@2", "memory"), ["chase", "memcpy", "str", "malloc", "fork@2"])
        for rows, groups in (("nonesuch", None), (None, "nonesuch")):
            with self.assertRaisesRegex(ValueError, "nonesuch"):
                bs.choose(rows, groups)
        self.assertEqual(bs.choose(None, "boot", "cpu"), ["boot wall"])
        self.assertLessEqual(set(bs.QUICK), set(bs.ROWS))
        self.assertEqual(len(set(bs.ROWS)), len(bs.ROWS))

    def test_kernels_exist(self):
        with open(os.path.join(HERE, "guestbench.c"), encoding="utf-8") as stream:
            table = re.findall(r'\{"(\w+)", run_\w+\}', stream.read())
        self.assertEqual(sorted(table), sorted(bs.KERNELS))

    def test_programs_exist(self):
        for disk, rows in ((programs.PROGRAMS, bs.GROUPS["programs"]), (programs.DEVICES, bs.DEVICES)):
            names = os.listdir(programs.scripts_of(disk))
            scripts = {name[:-3] for name in names if name.endswith(".sh")} - {"prepare"}
            self.assertEqual(scripts, set(rows))
            for name in scripts:
                self.assertTrue(programs.needs(name, disk), name)
        self.assertTrue(programs.own_result("gcc"))
        self.assertFalse(programs.own_result("sort"))

    def test_sessions(self):
        sessions = {s.name: s for s in benchrun.divide(["boot wall", "int", "fork", "fork@2", "xz"])}
        self.assertEqual(sessions["kernels"].names, ["int", "fork"])
        self.assertEqual((sessions["smp2"].names, sessions["smp2"].smp), (["fork"], 2))
        self.assertEqual(sessions["smp2"].row_of("fork"), "fork@2")
        sessions["programs"].initrd = sessions["programs"].image = "f"
        files = types.SimpleNamespace(kernel="k")
        self.assertIn("file=f,if=none,format=raw,readonly=on,id=programs", sessions["programs"].machine(files, options()))
        self.assertIn("progbench 2 /bench xz\n", sessions["programs"].script({"kernels": 3, "programs": 2}))
        self.assertIn("\nguestbench 3 int fork\n", sessions["kernels"].script({"kernels": 3, "programs": 2}))
        self.assertEqual([s.name for s in benchrun.divide(["xz"])], ["programs"])
        [disks] = benchrun.divide(["disk-read", "qcow2-fill"])
        disks.initrd, disks.image, disks.folder = "i", "f", "/scratch"
        self.assertIn("file=/scratch/full,if=none,format=qcow2,id=full", disks.machine(files, options()))
        self.assertIn("progbench 1 /bench disk-read qcow2-fill\n", disks.script({"kernels": 3, "programs": 1}))


class Refusals(unittest.TestCase):
    def test_parse(self):
        got = bs.parse_guest(OUTPUT)
        self.assertEqual(got["rows"]["int"], {"best": 0.1, "first": 0.2, "sum": "e943"})
        self.assertEqual((got["kpti"], got["cpus"], len(got["rows"])), ("on", "1", 2))
        bad = bs.parse_guest(OUTPUT + "UNSTABLE int: 1, then 2\r\nFAILED git exit status 1\r\n")["failed"]
        self.assertIn("1, then 2", bad["int"])
        self.assertEqual(bad["git"], "exit status 1")

    def test_clock(self):
        bs.check_clock("x", 10.0, 10.25)
        for guest in (9.6, 10.4):
            with self.assertRaises(Refused):
                bs.check_clock("x", 10.0, guest)

    def test_alike(self):
        bs.check_alike(("a", FACTS), ("b", dict(FACTS)))
        for key in FACTS:
            with self.assertRaisesRegex(Refused, key):
                bs.check_alike(("a", FACTS), ("b", {**FACTS, key: "other"}))

    def test_sums(self):
        for sides, why in (({"ours": [round_of(int=1), round_of(int=2)], "peer": [round_of(int=1)]}, None),
                           ({"ours": [round_of(int=1)], "peer": [round_of(crc=1)]}, "peer, run 1: printed no result"),
                           ({"ours": [round_of({"int": "exit status 3"})], "peer": [round_of(int=1)]}, "exit status 3")):
            refused = {}
            bs.check_sums(sides, ["int", "boot wall"], refused)
            self.assertEqual(list(refused), ["int"] if why else [])
            self.assertIn(why or "", refused.get("int", ""))
        wrong = round_of(int=1)
        wrong["rows"]["int"]["sum"] = "0"
        for sides in ({"ours": [round_of(int=1), wrong], "peer": []}, {"ours": [round_of(int=1)], "peer": [wrong]}):
            refused = {}
            bs.check_sums(sides, ["int"], refused)
            self.assertIn("computed", refused["int"])


class Arithmetic(unittest.TestCase):
    ROUNDS = {"ours": [round_of(int=2, call=1), round_of(int=2, call=1), round_of(int=18, call=1)],
              "peer a": [round_of(int=4, call=8), round_of(int=3, call=8), round_of(int=4, call=8)],
              "peer b": [round_of(int=9, call=4)] * 3, "native": [round_of(int=0.5)] * 3}

    def reduce(self, refused=None):
        return bs.reduce_rows(self.ROUNDS, ["int", "call"], ["peer a", "peer b"], ["ours"], refused or {}, ["native"])

    def test_best_peer_counts(self):
        rows = {row["name"]: row for row in self.reduce()}
        self.assertEqual((rows["int"]["base"], rows["int"]["ratios"]), ("peer a", {"ours": 2.0}))
        self.assertEqual((rows["call"]["base"], rows["call"]["ratios"]), ("peer b", {"ours": 4.0}))
        self.assertAlmostEqual(rows["int"]["spread"], 8.0)
        self.assertEqual(bs.slowdown(rows["int"], "ours"), 4.0)
        self.assertIsNone(bs.slowdown(rows["call"], "ours"))

    def test_geomeans(self):
        means = bs.geomeans(self.reduce(), {}, lambda row: row["ratios"]["ours"])
        self.assertAlmostEqual(means["integer"], 8 ** 0.5)
        self.assertAlmostEqual(means["kernels"], 8 ** 0.5)
        self.assertNotIn("system", means)
        means = bs.geomeans(self.reduce({"int": "why"}), {"int": "why"}, lambda row: row["ratios"]["ours"])
        self.assertEqual(means, {})
        self.assertIsNone(bs.geomean([]))

    def test_table(self):
        text = benchreport.table(self.reduce({"crc": "why"}), {"crc": "why"}, ["peer a", "peer b"], ["ours"], native=True)
        self.assertRegex(text, r"(?m)^int +4\.0000 a +2\.0000 +2\.00 +800% +0\.5000 +8\.00 +4\.00$")
        self.assertRegex(text, r"(?m)^call +4\.0000 b +1\.0000 +4\.00 +0%$")
        self.assertIn("refused: crc: why", text)
        self.assertIn("refused: a, c: x\nrefused: b: y", benchreport.table([], {"a": "x", "b": "y", "c": "x"}, ["p"], ["o"]))
        self.assertNotRegex(text, r"(?m)^  integer")
        self.assertRegex(benchreport.table(self.reduce(), {}, ["peer a"], ["ours"]), r"(?m)^  integer +2\.83$")

    def test_host_as_second_opinion(self):
        rounds = {"ours": [round_of(sort=1, awk=1, git=1)], "native": [round_of(sort=1, awk=1)]}
        rounds["native"][0]["rows"]["awk"]["sum"] = "0"
        self.assertEqual(bs.differing_from_host(rounds, ["sort", "awk", "git"]), ["awk"])
        self.assertEqual(bs.differing_from_host({"ours": rounds["ours"]}, ["awk"]), [])

    def test_processor_time(self):
        rows = {"int": timed(1.0), "xz": timed(1.0)}
        lines = [("ISOMER-MARK begin 1", 3.0), ("KERNEL int ...", 7.0), ("READY", 10.0), ("FAILED gcc ...", 11.0),
                 ("KERNEL xz ...", 12.0)]
        pattern = re.compile(rb"^(READY|ISOMER-MARK begin|(?:KERNEL|FAILED) (\w+))")
        spent = [(pattern.match(text.encode()), seconds) for text, seconds in lines]
        benchrun.add_processor_time(rows, types.SimpleNamespace(spent=lambda _: spent), 2)
        self.assertEqual((rows["int"]["cpu"], rows["xz"]["cpu"]), (2.0, 0.5))
        sides = {"a": [{"rows": rows}], "b": [{"rows": {"int": {**timed(9.0), "cpu": 1.0}}}]}
        self.assertEqual(bs.reduce_rows(sides, ["int"], ["a"], ["b"], {}, by="cpu")[0]["ratios"], {"b": 2.0})

    def test_several_targets(self):
        rows = bs.reduce_rows({"a": [round_of(int=6)], "b": [round_of(int=3)], "c": [round_of(int=12)]}, ["int"], ["a"],
                              ["b", "c"], {})
        self.assertEqual(rows[0]["ratios"], {"b": 2.0, "c": 0.5})


class Actor:
    """A side that plays what it is told: a dict of facts, or an exception."""
    version, cpu, args = "Actor 1", "any", []

    def __init__(self, name, *script):
        self.name, self.script, self.calls = name, list(script), 0

    def command(self, session, files, opts):
        return ["actor", session.name]

    def run(self, session, files, opts, log=None):
        self.calls += 1
        one = self.script[(self.calls - 1) % len(self.script)]
        if isinstance(one, Exception):
            raise one
        return {"summary": "", "failed": {}, "clock": {"host": 1, "guest": 1}, **FACTS, **one}


class Campaigns(unittest.TestCase):
    def campaign(self, ours, peer, rows=("int", "fork@2")):
        files = types.SimpleNamespace(version="6.1")
        campaign = benchrun.Campaign([ours, peer], benchrun.divide(rows), files, options(), [(ours.name, peer.name)])
        stderr, sys.stderr = sys.stderr, io.StringIO()
        try:
            campaign.run()
        finally:
            sys.stderr = stderr
        return campaign

    def test_json(self):
        both = {"rows": {"int": timed(1.0), "fork": timed(3.0)}}
        campaign = self.campaign(Actor("ours", both), Actor("peer", {"rows": {"int": timed(2.0), "fork": timed(3.0)}}))
        rows = bs.reduce_rows(campaign.rounds, ["int", "fork@2"], ["peer"], ["ours"], campaign.refused)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "out.json")
            benchreport.write_json(path, campaign, rows, ["peer"], ["ours"], ["gcc_1"], (0, 0, 0))
            with open(path, encoding="utf-8") as stream:
                got = json.load(stream)
        self.assertEqual(got["geomeans"]["ratio"]["ours"], {"integer": 2.0, "smp2": 1.0, "kernels": 2.0})
        self.assertEqual(len(got["rounds"]["ours"]), 2)
        self.assertEqual(got["rounds"]["peer"][1]["rows"]["int"]["best"], 2.0)
        self.assertEqual(got["sides"]["ours"]["commands"]["kernels"], ["actor", "kernels"])
        self.assertEqual((got["guest"]["packages"], got["refused"], got["options"]["runs"]), (["gcc_1"], {}, 2))

    def test_differing_guests_refuse_their_session(self):
        both = {"rows": {"int": timed(1.0), "fork": timed(3.0)}}
        peer = Actor("peer", {**both, "kpti": "off"}, both, both)
        campaign = self.campaign(Actor("ours", both), peer)
        self.assertEqual(list(campaign.refused), ["int"])
        self.assertIn("kpti", campaign.refused["int"])
        self.assertEqual(peer.calls, 3)  # the session given up is not run again

    def test_a_clock_may_stray_twice(self):
        both = {"rows": {"int": timed(1.0)}}
        late = bs.ClockStrayed("late")
        campaign = self.campaign(Actor("ours", late, late, both, both), Actor("peer", both), ["int"])
        self.assertEqual((campaign.refused, len(campaign.rounds["ours"])), ({}, 2))
        campaign = self.campaign(Actor("ours", both, late, late, late), Actor("peer", both), ["int"])
        self.assertEqual(campaign.refused, {"int": "late"})

    def test_a_crash_refuses_its_session(self):
        both = {"rows": {"int": timed(1.0), "fork": timed(3.0)}}
        campaign = self.campaign(Actor("ours", both, ConsoleError("the emulator ended")), Actor("peer", both))
        self.assertEqual(list(campaign.refused), ["fork@2"])
        self.assertIn("ours: the emulator ended", campaign.refused["fork@2"])


class Profiles(unittest.TestCase):
    SCRIPT = """  perf  12 PERF_RECORD_MMAP2 12/12: [0x5000(0x1000) @ 0x1000 fe:00 1 2]: r-xp /b/isomer
  12     5010 lookup (/b/isomer)
  12     5810 x64_rm (/b/isomer)
  12   900010 [unknown] (/memfd:isomer-code (deleted))
  12   900050 [unknown] (/memfd:isomer-code (deleted))
  12   900080 [unknown] (/memfd:isomer-code (deleted))
  13     7000 (anonymous namespace)::f (/usr/lib/libLLVM.so)
  13     8000 malloc (/lib/libc.so.6)
  12     9000 futex ([kernel.kallsyms])
"""
    SYMBOLS = """
     1: 0000000000000000     0 FILE    LOCAL  DEFAULT  ABS run.c
     2: 0000000000001000    64 FUNC    LOCAL  DEFAULT   12 lookup
     3: 0000000000001800    64 FUNC    GLOBAL DEFAULT   12 x64_rm
"""

    def test_parts(self):
        samples, bases = profiletable.parse_script(self.SCRIPT)
        self.assertEqual(len(samples), 8)
        code = profiletable.parse_map("900000 20 guest_40\n900040 20 region_80\n")
        parts = [part for part, _ in profiletable.classify(samples, bases, code, profiletable.parse_symbols(self.SYMBOLS),
                                                           "/b/isomer")]
        self.assertEqual(parts, ["dispatch", "translation: host code", profiletable.FAST, profiletable.OPTIMISED,
                                 profiletable.THUNKS, profiletable.COMPILER, profiletable.COMPILER, profiletable.KERNEL])
        share = profiletable.shares([(part, "") for part in parts])
        self.assertEqual(share[profiletable.COMPILER], 0.25)
        self.assertIn("| optimising thread | 25.0 |", profiletable.table({"gcc": (1.0, share)}))


class CommandLine(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        loader = importlib.machinery.SourceFileLoader("bench_tool", os.path.join(TOOLS, "bench"))
        cls.tool = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_tool", loader))
        loader.exec_module(cls.tool)

    def test_quick(self):
        args = self.tool.parse(["--quick", "--reps", "2"])
        self.assertEqual((args.runs, args.reps, args.program_reps), (1, 2, 1))
        self.assertEqual(self.tool.choose(args), [row for row in bs.ROWS if row in bs.QUICK])

    def test_ab(self):
        args = self.tool.parse(["ab", "--ours", "/bin/true", "--", "-accel jit", "/bin/echo -m 64", ""])
        sides, bases, targets, alike = self.tool.sides_of(args)
        self.assertEqual([(s.name, s.executable, s.args) for s in sides],
                         [("a", "/bin/true", ["-accel", "jit"]), ("b", "/bin/echo", ["-m", "64"]), ("c", "/bin/true", [])])
        self.assertEqual((bases, targets, alike), (["a"], ["b", "c"], [("a", "b"), ("a", "c")]))

    def test_peers(self):
        args = self.tool.parse(["--ours", "/bin/true", "--peer", "/bin/true", "--peer-cpus", "cortex-a72", "max"])
        sides, bases, targets, alike = self.tool.sides_of(args)
        self.assertEqual(([s.cpu for s in sides], targets), (["cortex-a72", "cortex-a72", "max"], ["ours"]))
        self.assertEqual((bases, alike), (["peer cortex-a72", "peer max"], [("ours", "peer cortex-a72")]))


class Inputs(unittest.TestCase):
    def test_same_bytes_and_working_key(self):
        rng = workdata.random.Random(1)
        pem = workdata.rsa_pem(rng, 512)
        self.assertEqual(pem, workdata.rsa_pem(workdata.random.Random(1), 512))
        source = workdata.c_source(workdata.random.Random(1), 10)
        self.assertNotIn("@", source)
        if shutil.which("openssl"):
            subprocess.run(["openssl", "rsa", "-check", "-noout"], input=pem.encode(), check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)


@unittest.skipUnless("PROGBENCH" in os.environ, "no progbench was built")
class ProgramRunner(unittest.TestCase):
    def test_results(self):
        scripts = {"prepare": "echo unseen", "good": "pwd >place; ls; echo $DATA | wc -l", "fails": "echo x; exit 3",
                   "killed": "kill -9 $$", "wavers": "echo $$", "clocked": "echo 12.5 >seconds"}
        with tempfile.TemporaryDirectory() as folder:
            for name, text in scripts.items():
                with open(os.path.join(folder, name + ".sh"), "w", encoding="ascii") as stream:
                    stream.write(text)
            done = subprocess.run([os.environ["PROGBENCH"], "2", folder, "good", "clocked", "fails", "killed", "wavers", "absent"],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        got = bs.parse_guest(done.stdout)
        self.assertEqual(list(got["rows"]), ["good", "clocked"])
        self.assertEqual(got["rows"]["clocked"]["best"], 12.5)
        self.assertTrue(got["rows"]["good"]["sum"].endswith("0008"))  # "place", "1" and their ends of line
        self.assertEqual(got["failed"]["fails"], "exit status 3")
        self.assertEqual(got["failed"]["killed"], "ended by signal 9")
        self.assertIn("changed", got["failed"]["wavers"])
        self.assertIn("absent", got["failed"])


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
