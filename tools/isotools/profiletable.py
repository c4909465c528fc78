# SPDX-License-Identifier: MIT
"""Arithmetic of tools/profile, free of I/O: what part of the emulator a sample's address belongs to.

A sample is {thread, address, symbol, module}. Addresses of translated code are looked up in the perf map that
-accel jit,perf-map=on writes; those of the emulator's own code in its symbol table, because static functions are told
apart by the file that holds them. One thread of the process counts as a whole where it helps no vCPU: that of the
optimising tier."""
import bisect
import collections
import re

FAST, OPTIMISED, THUNKS = "fast tier's code", "optimised code", "thunks and stubs"
COMPILER, KERNEL, LIBRARY, OTHER = "optimising thread", "host's kernel", "C library", "other"
# class -> pattern over "file:symbol"; the file is known of static functions only. The first that matches counts.
PARTS = (
    ("dispatch", r"^run\.c:|:vcpu_main$|:unit_(lookup|known|link)$|:context_(jump_insert|note_jump)$|:x64_(link|enter)\b|"
                 r"^x64\.c:(enter|link)"),
    ("memory slow path", r"^access\.c:|:access_|:vcpu_(load|store|zero)$|:context_entry$|:mem_find$|^space\.c:|^code_write\.c:|"
                         r":code_(store|invalidate|write_slot|unit_touches)"),
    ("TLB and page walks", r"^tlb\.c:|:tlb_|^mmu\.c:|:a64_(walk|mmu|canonical|context)|:vcpu_phys_read$"),
    ("contexts", r"^context\.c:|^carry\.c:|:context_|:vcpu_(tlbi|tlb_sync|drain_tlbi|context_)"),
    ("translation: guest to IR", r"^(tr_?\w*|translate|imm|unit|merge)\.c:|^operands|^a64_decode|"
                                 r":a64_(tr_|decode|translate)|:ir_(unit|emit|block|const|build|new|add|op|set|get|insn|memop)"),
    ("translation: IR passes", r"^(dead|fold|spans|rewrite|flow)\.c:|:ir_(opt|fold|dead|flow|eval|rewrite|optimise|spans)"),
    ("translation: host code", r"^(emit|prepass|regalloc|values|joins|lower_\w+|x64|evaluate|constants)\.c:|:x64_"),
    ("translation: units", r"^units\.c:|:unit_|:code_|:jit_|:tier_"),
    ("exceptions, system registers", r"^(exception|sysreg\w*|sysop|key|isa|state|helpers)\.c:|:a64_|^safepoint\.c:|^accel\.c:|"
                                     r":vcpu_|:accel_"),
    ("floating point, crypto", r"^(round|arith|convert|compare|estimate|crypto_\w+|helpers_simd|eval_\w+)\.c:|:(fp|crypto)_"),
    ("devices, event loop", r"^(gic|virt|pl0|arm_|loop|clock|raw|fw_cfg|device|keyval|entropy|stdio|terminal)|"
                            r":(gic|virt|pl0|arm_|loop|clock|chardev|block|mem_mmio|device|entropy|fw_)"),
)
ORDER = (FAST, OPTIMISED, THUNKS, *(name for name, _ in PARTS), LIBRARY, COMPILER, KERNEL, OTHER)
_PARTS = [(name, re.compile(pattern)) for name, pattern in PARTS]

Sample = collections.namedtuple("Sample", "thread address symbol module")


class Ranges:
    """Names of address ranges; of those that begin alike or overlap the last added counts."""
    def __init__(self, rows):
        """rows: (start, size, name)"""
        table = {}
        for start, size, name in rows:
            table[start] = (size, name)
        self.starts = sorted(table)
        self.rows = [table[start] for start in self.starts]

    def find(self, address):
        at = bisect.bisect_right(self.starts, address) - 1
        if at < 0 or address >= self.starts[at] + max(self.rows[at][0], 1):
            return None
        return self.rows[at][1]


def parse_map(text):
    """The Ranges of a perf map: lines of start, size (hexadecimal) and name."""
    rows = []
    for line in text.splitlines():
        words = line.split(None, 2)
        if len(words) == 3:
            rows.append((int(words[0], 16), int(words[1], 16), words[2]))
    return Ranges(rows)


def parse_symbols(text):
    """The Ranges of functions, named "file:symbol", of what `readelf -sW` prints."""
    rows, file = [], ""
    for line in text.splitlines():
        words = line.split()
        if len(words) < 7 or not words[0].endswith(":"):
            continue
        if words[3] == "FILE":
            file = words[7] if len(words) > 7 else ""
        elif words[3] == "FUNC" and len(words) > 7 and words[6] != "UND":
            rows.append((int(words[1], 16), int(words[2], 0), f"{file if words[4] == 'LOCAL' else ''}:{words[7]}"))
    return Ranges(rows)


def parse_script(text):
    """(Samples, {module: (start, offset)}) of `perf script -F tid,ip,sym,dso --show-mmap-events`."""
    samples, bases = [], {}
    for line in text.splitlines():
        mapped = re.search(r"PERF_RECORD_MMAP2? .*\[0x([0-9a-f]+)\(0x[0-9a-f]+\) @ (?:0x)?([0-9a-f]+).*\]: .{4} (\S+)", line)
        if mapped:
            bases.setdefault(mapped.group(3), (int(mapped.group(1), 16), int(mapped.group(2), 16)))
            continue
        sample = re.match(r"\s*(\d+)\s+([0-9a-f]+) (.*?) \(([/[].*)\)$", line)
        if sample:
            samples.append(Sample(int(sample.group(1)), int(sample.group(2), 16), sample.group(3).strip(), sample.group(4)))
    return samples, bases


def part_of(name):
    """The class of "file:symbol" of the emulator."""
    return next((part for part, pattern in _PARTS if pattern.search(name)), OTHER)


def classify(samples, bases, code_map, symbols, emulator):
    """[(class, name)] in the samples' order. emulator: the path of its program as perf names it."""
    compiler = {s.thread for s in samples if "LLVM" in s.module}
    start, offset = bases.get(emulator, (0, 0))
    result = []
    for s in samples:
        if s.thread in compiler:
            result.append((COMPILER, s.symbol))
        elif "isomer-code" in s.module or s.module in ("//anon", "[unknown]") or s.module.startswith("/tmp/perf-"):
            name = code_map.find(s.address)
            part = THUNKS if name is None else OPTIMISED if name.startswith("region") else FAST
            result.append((part, name or "thunk"))
        elif s.module == emulator:
            name = symbols.find(s.address - start + offset) or ":" + s.symbol
            result.append((part_of(name), name))
        elif s.module.startswith("[") or s.module.endswith(".ko"):
            result.append((KERNEL, s.symbol))
        else:
            result.append((LIBRARY if "/libc" in s.module or "vdso" in s.module else OTHER, s.symbol))
    return result


def shares(classified):
    """{class: part of all samples}"""
    count = collections.Counter(part for part, _ in classified)
    return {part: number / len(classified) for part, number in count.items()} if classified else {}


def table(columns):
    """columns: {program: (seconds of processor time, shares)}. A table in Markdown, in per cent."""
    lines = ["| part | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
    for part in ORDER:
        cells = [share.get(part, 0) for _, share in columns.values()]
        if max(cells, default=0) >= 0.0005:
            lines.append(f"| {part} | " + " | ".join(f"{100 * cell:.1f}" for cell in cells) + " |")
    lines.append("| processor time, s | " + " | ".join(f"{seconds:.2f}" for seconds, _ in columns.values()) + " |")
    return "\n".join(lines)


def top(classified, count, classes=None):
    """Lines of the names that were met most often."""
    met = collections.Counter(row for row in classified if not classes or row[0] in classes)
    return [f"{100 * number / len(classified):6.2f} %  {part:30} {name}" for (part, name), number in met.most_common(count)]
