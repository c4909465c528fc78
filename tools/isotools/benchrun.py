# SPDX-License-Identifier: MIT
"""Runs the measured machines of tools/bench, turn about, and collects what they print.

A Side is one emulator with its options, or the host itself; it can run a Session (benchguest.py) and answers
with a dict of facts. Campaign alternates the sides for some rounds; a session that one side cannot bring to
its end, or whose guests differ or keep a clock that strays, is given up for all sides and its rows are
refused."""
import os
import shlex
import subprocess
import sys
import time

from isotools import benchdevices, benchguest, benchstats, guest, programs
from isotools.benchstats import ClockStrayed, Refused
from isotools.console import Console, ConsoleError
from isotools.debian import Failure

PANIC = r"Kernel panic|Internal error: Oops"
END_SECONDS = 60
CLOCK_TRIES = 3


def divide(rows):
    """The sessions that the rows need."""
    def of(members):
        return [row for row in rows if row in members]
    sessions = [benchguest.Session("kernels", 1, of((*benchguest.BOOT_ROWS, *benchstats.KERNELS))),
                benchguest.Session("smp2", 2, of(benchstats.GROUPS["smp2"])),
                benchguest.ProgramSession(of(benchstats.GROUPS["programs"])),
                benchdevices.DeviceSession(of(benchstats.DEVICES))]
    return [session for session in sessions if session.rows]


def version(emulator):
    try:
        text = subprocess.run([emulator, "--version"], stdout=subprocess.PIPE, text=True, check=False,
                              timeout=20).stdout
    except (OSError, subprocess.TimeoutExpired) as err:
        raise Failure(f"{emulator} does not answer --version ({err}).") from err
    return text.splitlines()[0] if text else "unknown version"


def marked(console, label, seconds):
    match, when = console.expect(rf"ISOMER-MARK {label} ([\d.]+)\r*\n", seconds, PANIC)
    return float(match.group(1)), when


def check_boot_clock(who, console):
    """Compares the kernel's own time stamps with when they were printed. (Its uptime would not do: it counts by
    jiffies until the kernel has settled on a clock.)"""
    stamp = r"^\[ *([\d.]+)\] "
    lines = [console.seen(stamp + text)
             for text in (r"printk: console \[ttyAMA0\] enabled", r"Run /init as init process")]
    if all(lines):
        guest_from, guest_to = (float(match.group(1)) for match, _ in lines)
        host_from, host_to = (when for _, when in lines)
        benchstats.check_clock(f"{who}, booting", host_to - host_from, guest_to - guest_from,
                               benchstats.BOOT_CLOCK_GRAIN)


def add_processor_time(rows, console, reps):
    """Gives each row "cpu": what the emulator spent from the line before to the row's own, for one repetition."""
    before = 0.0
    for match, spent in console.spent(r"^(READY|ISOMER-MARK begin|(?:KERNEL|FAILED|UNSTABLE) ([\w-]+)).*$"):
        name = match.group(2).decode() if match.group(2) else None
        if name in rows:
            rows[name]["cpu"] = (spent - before) / reps
        before = spent


class Emulator:
    """A side that boots machines. cpu is given first, so that `args` may say otherwise."""
    def __init__(self, name, executable, cpu, args=""):
        self.name, self.executable, self.cpu, self.args = name, executable, cpu, shlex.split(args)
        self.version = version(executable)

    def command(self, session, files, options):
        return [self.executable, "-cpu", self.cpu, *session.machine(files, options), *self.args]

    def run(self, session, files, options, log=None):
        """One machine from start to end."""
        session.before_boot()
        started = time.monotonic()
        with Console(self.command(session, files, options), log) as console:
            uptime, userspace = marked(console, "userspace", options.timeout)
            if options.by != "cpu" and set(session.rows) & set(benchstats.GROUPS["boot"]):
                check_boot_clock(self.name, console)
            guest_begin, host_begin = marked(console, "begin", options.timeout)
            guest_finish, host_finish = marked(console, "finish", options.timeout)
            _, leaving = marked(console, "poweroff", options.timeout)
            status = console.wait(END_SECONDS)
            ended = time.monotonic()
            if status != 0:
                raise Refused(f"{self.name} ended with status {status}:\n{console.tail()}")
            result = benchstats.parse_guest(console.text())
            add_processor_time(result["rows"], console, options.program_reps if session.program_disk else options.reps)
        boot = {"boot wall": userspace - started, "boot guest": uptime, "power-off": ended - leaving}
        if not session.program_disk:
            result["boot"], result["boot cpu"] = boot, console.spent(r"^ISOMER-MARK userspace .*$")[0][1]
        result["clock"] = {"host": host_finish - host_begin, "guest": guest_finish - guest_begin}
        result["summary"] = f"userspace after {boot['boot wall']:.2f} s, work {result['clock']['host']:.1f} s, " \
                            f"KPTI {result['kpti']}"
        if options.by != "cpu":  # which uses no time that a guest kept
            benchstats.check_clock(self.name, **result["clock"])
        return result


class Native:
    """The host itself: the same kernels compiled for it, its own programs; as many CPUs as the guest has."""
    name, cpu, args = "native", None, []

    def __init__(self):
        self.version = programs.host_programs()
        folder = os.path.join(guest.cache_dir(), "bench")
        self.kernels = programs.compile_for("native", "guestbench.c", os.path.join(folder, "guestbench-native"))
        self.runner = programs.compile_for("native", "progbench.c", os.path.join(folder, "progbench-native"))

    def command(self, session, files, options):
        if not session.program_disk:
            return [self.kernels, str(options.reps), *session.names]
        names = programs.on_host(session.names) if session.program_disk is programs.PROGRAMS else []
        return [self.runner, str(options.program_reps), programs.ensure_data()[0], *names]

    def run(self, session, files, options, log=None):
        command = self.command(session, files, options)
        if command[-1] not in session.names:
            return benchstats.parse_guest("") | {"summary": "nothing to do"}
        allowed = sorted(os.sched_getaffinity(0))[:session.smp]
        started = time.monotonic()
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                              check=False, timeout=options.timeout,
                              preexec_fn=lambda: os.sched_setaffinity(0, allowed))
        if log:
            with open(log, "w", encoding="utf-8") as stream:
                stream.write(done.stdout + done.stderr)
        return benchstats.parse_guest(done.stdout) | {"summary": f"work {time.monotonic() - started:.1f} s"}


def note(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


class Campaign:
    """Rounds of every side over every session. After run(): `rounds` {side: [round]}, `refused` {row: reason}."""
    def __init__(self, sides, sessions, files, options, alike):
        """alike: pairs of side names whose guests must be in the same state."""
        self.sides, self.sessions, self.files, self.options, self.alike = sides, sessions, files, options, alike
        self.rounds, self.refused = {side.name: [] for side in sides}, {}
        self.given_up = {}  # session name -> why

    def run(self):
        try:
            for session in self.sessions:
                session.open()
            self._rounds()
        finally:
            for session in self.sessions:
                session.close()

    def _rounds(self):
        for number in range(1, self.options.runs + 1):
            results = {side.name: {"rows": {}, "failed": {}, "sessions": {}} for side in self.sides}
            for session in self.sessions:
                if session.name not in self.given_up:
                    self._session(number, session, results)
            for name, result in results.items():
                self.rounds[name].append(result)
        for session in self.sessions:
            if session.name in self.given_up:
                self.refused.update({row: self.given_up[session.name] for row in session.rows})

    def _session(self, number, session, results):
        facts = {}
        try:
            for side in self.sides:
                log = os.path.join(self.options.logs, f"{session.name}-{side.name}-{number}.log".replace(" ", "_")) \
                    if self.options.logs else None
                facts[side.name] = one = self._try(side, session, log)
                note(f"run {number} of {self.options.runs}, {session.name}, {side.name}: {one['summary']}")
                self._take(results[side.name], session, one)
            for first, second in self.alike:
                benchstats.check_alike((first, facts[first]), (second, facts[second]))
        except (Refused, ConsoleError, subprocess.TimeoutExpired) as err:
            who = "" if isinstance(err, Refused) else f"{side.name}: "
            self.given_up[session.name] = f"{who}{err}"
            note(f"giving up the session {session.name}: {who}{err}")

    def _try(self, side, session, log):
        """A run, and up to CLOCK_TRIES of them while only the clock was wrong: a busy host can do that once."""
        for left in range(CLOCK_TRIES - 1, -1, -1):
            try:
                return side.run(session, self.files, self.options, log)
            except ClockStrayed as err:
                if left == 0:
                    raise
                note(f"again, because {err}")

    @staticmethod
    def _take(result, session, one):
        result["rows"].update({session.row_of(name): row for name, row in one["rows"].items()})
        result["failed"].update({session.row_of(name): why for name, why in one["failed"].items()})
        result["sessions"][session.name] = {key: one.get(key) for key in ("kpti", "meltdown", "cpus", "clock")}
        for name, seconds in one.get("boot", {}).items():
            spent = {"cpu": one["boot cpu"]} if name == "boot wall" and "boot cpu" in one else {}
            result["rows"].setdefault(name, {"best": seconds, "first": seconds, "sum": "", **spent})
