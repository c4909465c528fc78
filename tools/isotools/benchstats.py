# SPDX-License-Identifier: MIT
"""Arithmetic of tools/bench, free of I/O: which rows there are, what a guest printed, which results must not
be compared, and medians, ratios and geometric means of the rest.

A round of one side is {"rows": {row: {"best", "first", "sum"}}, "sessions": {session: facts}}. Several sides
are compared: the bases, of which the fastest counts on each row, and the targets; a ratio is base time /
target time, so above 1 the target is faster. What must not be quoted is collected in a dict {row: reason}."""
import math
import re
import statistics

SYSTEM = ("syscall", "pagefault", "pipe", "fork", "exec", "atomic")
GROUPS = {
    "boot": ("boot wall", "boot guest", "power-off"),
    "integer": ("int", "crc", "qsort", "sieve", "interp", "call"),
    "fp/simd": ("matmul", "mandel", "nbody", "simd_f32", "simd_u8"),
    "memory": ("chase", "memcpy", "str", "malloc"),
    "system": SYSTEM,
    "smp2": tuple(name + "@2" for name in SYSTEM),
    "programs": ("gcc", "python3", "perl", "lua", "sqlite3", "openssl-sha256", "openssl-aes", "openssl-rsa", "xz", "gzip",
                 "zstd", "grep", "sort", "awk", "shell", "git"),
    "disk": ("disk-read", "disk-write", "disk-randread", "disk-randwrite", "disk-one", "disk-flush", "qcow2-read",
             "qcow2-randread", "qcow2-fill"),
    "net": ("net-send", "net-receive", "net-many"),
}
DEVICES = (*GROUPS["disk"], *GROUPS["net"])
ROWS = tuple(name for names in GROUPS.values() for name in names)
KERNELS = tuple(name for group in ("integer", "fp/simd", "memory", "system") for name in GROUPS[group])
QUICK = ("boot wall", "boot guest", "crc", "matmul", "chase", "syscall", "pipe@2", "python3", "gzip", "shell")
NOT_IN_MEANS = ("power-off",)
NO_CPU = ("boot guest", "power-off", *DEVICES)
FACTS = ("kpti", "meltdown", "cpus")  # what guests that are compared must agree on
CLOCK_TOLERANCE = 0.03
CLOCK_GRAIN = 0.02  # seconds of jitter in when a line reaches us
BOOT_CLOCK_GRAIN = 0.15  # the kernel's log reaches its console late while the kernel is busy


class Refused(Exception):
    """The figures must not be quoted, and why."""


class ClockStrayed(Refused):
    """The guest's clock and ours disagree; on a busy machine that may be chance."""


def choose(rows=None, groups=None, by="best"):
    """Rows in table order, of comma-separated rows and groups; all if neither is given. ValueError names a stranger.
    by: "best" or "cpu", what the rows are compared by; some cannot be by the latter."""
    wanted = set()
    for word in (groups or "").split(",") if groups else []:
        if word not in GROUPS:
            raise ValueError(f"there is no group {word}; there are {', '.join(GROUPS)}.")
        wanted.update(GROUPS[word])
    for word in (rows or "").split(",") if rows else []:
        if word not in ROWS:
            raise ValueError(f"there is no row {word}; there are {', '.join(ROWS)}.")
        wanted.add(word)
    never = NO_CPU if by == "cpu" else ()
    return [name for name in ROWS if (name in wanted or not (rows or groups)) and name not in never]


def parse_guest(text):
    """What one guest printed: {"rows": {name: {best, first, sum}}, "failed": {name: why}, and each of FACTS}."""
    text = text.replace("\r", "")
    rows, failed = {}, {}
    for name, best, first, total in re.findall(
            r"^KERNEL ([\w-]+) +best ([\d.]+) first ([\d.]+) sum ([0-9a-f]+)\s*$", text, re.M):
        rows[name] = {"best": float(best), "first": float(first), "sum": total}
    for name, why in re.findall(r"^UNSTABLE ([\w-]+): (.*)$", text, re.M):
        failed[name] = f"the checksum changed between repetitions in one guest: {why}"
    failed.update(re.findall(r"^FAILED ([\w-]+) (.*)$", text, re.M))
    facts = dict(re.findall(r"^ISOMER-FACT (\w+) ([^\n]*?)$", text, re.M))
    return {"rows": rows, "failed": failed, **{key: facts.get(key, "unknown") for key in FACTS}}


def check_clock(who, host, guest, grain=CLOCK_GRAIN):
    """The guest's clock is the emulator's own; it must run like the host's."""
    if abs(guest - host) > CLOCK_TOLERANCE * host + grain:
        raise ClockStrayed(f"{who}: the guest's clock counted {guest:.3f} s while the host's counted {host:.3f} s; "
                           f"more than {CLOCK_TOLERANCE:.0%} apart, so its own timings mean nothing.")


def check_alike(one, other, keys=FACTS):
    """Syscalls with and without page-table isolation are different work. Each: (who, facts of a session)."""
    for key in keys:
        if one[1][key] != other[1][key]:
            raise Refused(f"the guests differ: {key} is '{one[1][key]}' in {one[0]} and '{other[1][key]}' in "
                          f"{other[0]}.")


def check_sums(rounds, wanted, refused):
    """Every round of every side computed the same thing; adds to `refused` the rows where it did not, or where a side
    printed no result. rounds: {side: [round]}."""
    for name in wanted:
        if name in GROUPS["boot"] or name in refused:
            continue
        reference = None
        for side, side_rounds in rounds.items():
            for number, one in enumerate(side_rounds, 1):
                who = f"{side}, run {number}"
                if name not in one["rows"]:
                    refused.setdefault(name, f"{who}: {one['failed'].get(name, 'printed no result')}")
                    continue
                reference = reference or (who, one["rows"][name]["sum"])
                if one["rows"][name]["sum"] != reference[1]:
                    refused.setdefault(name, f"{who} computed {one['rows'][name]['sum']}, {reference[0]} computed "
                                             f"{reference[1]}")


def differing_from_host(rounds, names, side="ours"):
    """Those of the rows that the host itself computed otherwise than the side did. For rows whose result does not depend
    on the processor this is a second opinion, as long as host and guest have the same version of the program."""
    native = {name: row["sum"] for one in rounds.get("native", []) for name, row in one["rows"].items()}
    return [name for name in names if name in native
            and any(one["rows"].get(name, {}).get("sum", native[name]) != native[name] for one in rounds[side])]


def median_and_spread(values):
    middle = statistics.median(values)
    return middle, (max(values) - min(values)) / (middle or 1)


def reduce_rows(rounds, wanted, bases, targets, refused, extra=(), by="best"):
    """[{name, times: {side: median}, base: side, ratios: {target: base / target}, spread}] in table order, without the
    refused rows. The fastest base counts; spread is (max - min) / median of the worst side shown. Sides in `extra` get
    times only, where they have the row in every round."""
    out = []
    for name in wanted:
        if name in refused:
            continue
        times, spreads = {}, {}
        for side in (*bases, *targets, *extra):
            values = [one["rows"][name][by] for one in rounds[side] if name in one["rows"]]
            if values and len(values) == len(rounds[side]):
                times[side], spreads[side] = median_and_spread(values)
        base = min(bases, key=lambda side: times[side])
        out.append({"name": name, "times": times, "base": base,
                    "ratios": {t: times[base] / times[t] if times[t] else math.inf for t in targets},
                    "spread": max(spreads[side] for side in (base, *targets))})
    return out


def geomean(values):
    logs = [math.log(value) for value in values if 0 < value < math.inf]
    return math.exp(sum(logs) / len(logs)) if logs else None


def geomeans(rows, refused, value):
    """{group: geometric mean of value(row)}, and "kernels" over every row of KERNELS. A group with a refused row has
    none; value(row) may be None where there is nothing to average."""
    out = {}
    for group, names in {**GROUPS, "kernels": KERNELS}.items():
        if any(name in refused for name in names):
            continue
        values = [value(row) for row in rows if row["name"] in names and row["name"] not in NOT_IN_MEANS]
        mean = geomean([v for v in values if v is not None])
        if mean is not None:
            out[group] = mean
    return out


def slowdown(row, side, native="native"):
    """How many times slower than the host itself, or None where that was not measured."""
    return row["times"][side] / row["times"][native] if row["times"].get(native) else None
