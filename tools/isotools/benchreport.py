# SPDX-License-Identifier: MIT
"""How tools/bench shows what it measured: the text table, the legend, and the JSON that holds everything."""
import json
import os
import platform
import time

from isotools import benchstats


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            names = [line.split(":", 1)[1].strip() for line in stream if line.startswith("model name")]
        return f"{names[0]}, {len(names)} threads" if names else platform.machine()
    except OSError:
        return platform.machine()


def table(rows, refused, bases, targets, native=False):
    """One line a row: base time, each target's time and ratio, spread; then the geometric means. With several bases
    the letter after the base's time says which was the fastest. With native, slowdowns against the host."""
    many = len(bases) > 1
    width = 13
    head = f"{'':14} {'best of bases' if many else bases[0]:>{width}} {'':2}"
    head += "".join(f"{target:>{width}} {'ratio':>7}" for target in targets) + "  spread"
    if native:
        head += f" {'native':>10}" + "".join(f" {'/' + side:>9}" for side in ("base", *targets))
    lines = [head]
    groups = {name: group for group, names in benchstats.GROUPS.items() for name in names}
    last = None
    for row in rows:
        if last not in (None, groups[row["name"]]):
            lines.append("")
        last = groups[row["name"]]
        lines.append(_line(row, bases, targets, native, width))
    lines += _means(rows, refused, targets, native)
    for reason in dict.fromkeys(refused.values()):
        lines.append(f"refused: {', '.join(name for name in refused if refused[name] == reason)}: {reason}")
    return "\n".join(lines)


def _line(row, bases, targets, native, width):
    letter = chr(ord("a") + bases.index(row["base"])) if len(bases) > 1 else ""
    text = f"{row['name']:14} {row['times'][row['base']]:{width}.4f} {letter:2}"
    for target in targets:
        text += f"{row['times'][target]:{width}.4f} {row['ratios'][target]:7.2f}"
    text += f" {row['spread']:7.0%}"
    if native and row["times"].get("native"):
        text += f" {row['times']['native']:10.4f}"
        text += "".join(f" {benchstats.slowdown(row, side):9.2f}" for side in (row["base"], *targets))
    return text


def means_of(rows, refused, targets, native):
    """{"ratio": {target: means}, "slowdown": {"base" or target: means}}"""
    ratio = {target: benchstats.geomeans(rows, refused, lambda row, t=target: row["ratios"][t]) for target in targets}
    slow = {}
    if native:
        slow = {side: benchstats.geomeans(rows, refused, lambda row, s=side: benchstats.slowdown(
            row, row["base"] if s == "base" else s)) for side in ("base", *targets)}
    return {"ratio": ratio, "slowdown": slow}


def _means(rows, refused, targets, native):
    means = means_of(rows, refused, targets, native)
    lines = ["", "geometric means of ratios" + (", and of times slower than native (base, targets)" if native else "")]
    for group in (*benchstats.GROUPS, "kernels"):
        values = [means["ratio"][target].get(group) for target in targets]
        if values[0] is None:
            continue
        line = f"  {group:12}" + "".join(f" {value:7.2f}" for value in values)
        slow = [means["slowdown"][side].get(group) for side in ("base", *targets)] if native else []
        if slow and None not in slow:
            line += "   slower than native:" + "".join(f" {value:7.2f}" for value in slow)
        lines.append(line)
    return lines


def legend(sides, bases, kernel, options):
    """Who was measured, with what."""
    lines = []
    for side in sides:
        letter = f" ({chr(ord('a') + bases.index(side.name))})" if side.name in bases and len(bases) > 1 else ""
        if side.cpu is None:
            lines.append(f"{side.name}: this host, {processor()}")
            continue
        lines.append(f"{side.name}{letter}: {side.version}, " + " ".join(["-cpu", side.cpu, *side.args]))
    extra = f" {options.append}" if options.append else ""
    lines.append(f"guest: Debian {options.guest} kernel {kernel}, -M {options.machine} -m {options.memory}{extra}; "
                 f"rows ...@2 with -smp 2, the others with -smp 1")
    if options.by == "cpu":
        lines.append(f"processor seconds of the emulator, all its threads, for one repetition, medians of {options.runs} "
                     f"alternating\nruns: for use on a busy machine, not to be quoted; checksums agree on every row shown")
    else:
        lines.append(f"seconds, medians of {options.runs} alternating runs; best of {options.reps} in each for kernels, "
                     f"of {options.program_reps} for programs;\nchecksums agree on every row shown")
    return "\n".join(lines)


def write_json(path, campaign, rows, bases, targets, packages, load):
    """Everything: options, versions, command lines, raw times of every run, rows, means, refusals."""
    native = any(side.cpu is None for side in campaign.sides)
    sides = {}
    for side in campaign.sides:
        commands = {s.name: side.command(s, campaign.files, campaign.options) for s in campaign.sessions}
        sides[side.name] = {"version": side.version, "cpu": side.cpu, "arguments": side.args, "commands": commands}
    document = {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "options": vars(campaign.options),
        "host": {"processor": processor(), "system": platform.platform(), "cpus": os.cpu_count(), "load": load},
        "guest": {"kernel": campaign.files.version, "packages": packages}, "sides": sides, "bases": bases,
        "targets": targets, "rows": rows, "geomeans": means_of(rows, campaign.refused, targets, native),
        "refused": campaign.refused, "rounds": campaign.rounds,
    }
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(document, stream, indent=1)
        stream.write("\n")
    return document
