#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ACPI tables against Intel's compiler: each table of several machines is disassembled without complaint, and what comes
out compiles again. acpi_test.py ACPI_DUMP. Exit 77 where there is no iasl."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

BASE = {"XSDT", "FACP", "DSDT", "APIC", "GTDT", "SPCR", "DBG2"}
# options of acpi_dump, tables beyond those, texts that the disassembly must hold
MACHINES = [
    (["1", "2"], set(), {"DSDT": ["Device (C000)", '"ARMH0011"', "Notify (\\_SB.PWRB, 0x80)", "GpioInt (Edge"],
                         "APIC": ["Generic Interrupt Distributor"], "FACP": ["PSCI Compliant : 1", "Hardware Reduced (V5) : 1"]}),
    (["4", "2", "v2m", "pci"], {"MCFG"}, {"APIC": ["Generic MSI Frame"], "DSDT": ["Device (PCI0)", "_OSC", "QWordMemory"]}),
    (["8", "3", "its", "pci"], {"MCFG", "IORT"}, {"APIC": ["Generic Interrupt Redistributor", "Translator"],
                                                  "IORT": ["ItsCount : 00000001", "Output Reference : 00000030"],
                                                  "MCFG": ["Base Address : 0000004010000000"]}),
    (["512", "3"], set(), {"DSDT": ["Device (C1FF)"]}),
]


def check(folder, dump, options, tables, texts):
    subprocess.run([dump, *options, folder], check=True)
    found = {name[:4] for name in os.listdir(folder)}
    faults = [] if found == BASE | tables else [f"tables are {sorted(found)}"]
    for name in sorted(found):
        done = subprocess.run(["iasl", "-d", f"{name}.dat"], cwd=folder, capture_output=True, text=True, timeout=60)
        said = done.stdout + done.stderr
        with open(os.path.join(folder, f"{name}.dsl"), encoding="utf-8", errors="replace") as stream:
            listing = stream.read()
        flat = re.sub(r"[ \t]+", " ", listing)
        if done.returncode or re.search(r"error|warning|invalid|unknown", said, re.I) or "Invalid" in listing:
            faults.append(f"{name}: {said}")
        faults += [f"{name}: no '{t}'" for t in texts.get(name, []) if t not in flat]
    done = subprocess.run(["iasl", "-p", "again", "DSDT.dsl"], cwd=folder, capture_output=True, text=True, timeout=60)
    if done.returncode or " 0 Errors" not in done.stdout:
        faults.append(f"DSDT does not compile again: {done.stdout}{done.stderr}")
    return faults


def main():
    if not shutil.which("iasl"):
        print("skip: there is no iasl (acpica-tools)")
        return 77
    faults = []
    for options, tables, texts in MACHINES:
        with tempfile.TemporaryDirectory() as folder:
            faults += [f"{' '.join(options)}: {f}" for f in check(folder, sys.argv[1], options, tables, texts)]
    print("\n".join(faults) or "every table disassembles")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
