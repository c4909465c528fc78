# SPDX-License-Identifier: MIT
"""Arithmetic of tools/bench, free of I/O: read what a guest printed, refuse runs that cannot be compared, and
reduce the rest to medians, ratios and geometric means. A ratio is peer time / our time: above 1, we are faster."""
import math
import re
import statistics

GROUPS = {
    "integer": ("int", "crc", "qsort", "sieve", "interp", "call"),
    "fp/simd": ("matmul", "mandel", "nbody", "simd_f32", "simd_u8"),
    "memory": ("chase", "memcpy", "str", "malloc"),
    "system": ("syscall", "pagefault", "pipe", "fork", "exec", "atomic"),
}
KERNELS = tuple(name for names in GROUPS.values() for name in names)
BOOT = ("boot wall", "boot guest", "power-off")
CLOCK_TOLERANCE = 0.03
CLOCK_GRAIN = 0.02  # seconds of jitter in when a line reaches us
BOOT_CLOCK_GRAIN = 0.15  # the kernel's log reaches its console late while the kernel is busy


class Refused(Exception):
    """The figures must not be quoted, and why."""


def parse_guest(text):
    """What one guest printed: {"kernels": {name: {best, first, sum}}, "kpti": str, "meltdown": str}."""
    for line in re.findall(r"^UNSTABLE .*$", text, re.M):
        raise Refused(f"a kernel's checksum changed between repetitions in one guest: {line}")
    kernels = {}
    for name, best, first, total in re.findall(
            r"^KERNEL (\w+) +best ([\d.]+) first ([\d.]+) sum ([0-9a-f]+)\s*$", text, re.M):
        kernels[name] = {"best": float(best), "first": float(first), "sum": total}
    facts = dict(re.findall(r"^ISOMER-FACT (\w+) ([^\r\n]*?)\r*$", text, re.M))
    return {"kernels": kernels, "kpti": facts.get("kpti", "unknown"), "meltdown": facts.get("meltdown", "unknown"),
            "cpus": facts.get("cpus", "unknown")}


def check_clock(who, host, guest, grain=CLOCK_GRAIN):
    """The guest's clock is the emulator's own; it must run like the host's."""
    if abs(guest - host) > CLOCK_TOLERANCE * host + grain:
        raise Refused(f"{who}: the guest's clock counted {guest:.3f} s while the host's counted {host:.3f} s; "
                      f"more than {CLOCK_TOLERANCE:.0%} apart, so its own timings mean nothing.")


def check_kpti(ours, peer):
    """Syscalls with and without page-table isolation are different work."""
    for key in ("kpti", "meltdown", "cpus"):
        if ours[key] != peer[key]:
            raise Refused(f"the guests differ: {key} is '{ours[key]}' in ours and '{peer[key]}' in the peer's.")


def check_sums(runs, wanted):
    """Every run of either side computed the same thing. runs: {side: [run]}."""
    reference = {}
    for side, side_runs in runs.items():
        for number, run in enumerate(side_runs, 1):
            for name in wanted:
                if name not in run["kernels"]:
                    raise Refused(f"{side} run {number}: kernel {name} printed no result.")
                total = run["kernels"][name]["sum"]
                who, before = reference.setdefault(name, (f"{side} run {number}", total))
                if before != total:
                    raise Refused(f"kernel {name}: {side} run {number} computed {total}, {who} computed {before}.")


def reduce_rows(runs, wanted):
    """[{name, ours, peer, ratio, spread}] in table order: medians over runs; spread is (max - min) / median of
    the worse side."""
    rows = []
    for name in [*BOOT, *wanted]:
        sides = {}
        for side in ("ours", "peer"):
            values = [run["boot"][name] if name in BOOT else run["kernels"][name]["best"] for run in runs[side]]
            sides[side] = (statistics.median(values), (max(values) - min(values)) / (statistics.median(values) or 1))
        ours, peer = sides["ours"][0], sides["peer"][0]
        rows.append({"name": name, "ours": ours, "peer": peer, "ratio": peer / ours if ours else math.inf,
                     "spread": max(sides["ours"][1], sides["peer"][1])})
    return rows


def geomeans(rows):
    """{group: geometric mean of the ratios measured in it}, and "all" over every kernel."""
    ratio = {row["name"]: row["ratio"] for row in rows}
    out = {}
    for group, names in {**GROUPS, "all": KERNELS}.items():
        logs = [math.log(ratio[n]) for n in names if n in ratio and 0 < ratio[n] < math.inf]
        if logs:
            out[group] = math.exp(sum(logs) / len(logs))
    return out


def table(rows, means, ours, peer):
    lines = [f"{'':12} {ours:>14} {peer:>14}  ratio  spread"]
    for row in rows:
        lines.append("{name:12} {ours:14.4f} {peer:14.4f} {ratio:6.2f} {spread:6.0%}".format(**row))
    lines.append("")
    for group, mean in means.items():
        lines.append(f"geometric mean, {group:8} {mean:6.2f}")
    return "\n".join(lines)
