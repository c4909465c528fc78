#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""SMBIOS tables as dmidecode reads them: smbios_test.py SMBIOS_DUMP. Exit 77 where there is no dmidecode."""
import os
import shutil
import subprocess
import sys
import tempfile

LONG = "x" * 300
# processors, MiB, options, lines that dmidecode must print, and such that it must not
CASES = [
    (2, 1024, [], ["SMBIOS 3.0.0 present.", "Manufacturer: QEMU", "Product Name: QEMU Virtual Machine", "Version: virt-7.2",
                   "Core Count: 2", "Version: cortex-a72", "Family: ARMv8", "Size: 1 GB", "Maximum Capacity: 1 GB",
                   "Starting Address: 0x00040000000", "Ending Address: 0x0007FFFFFFF", "End Of Table"],
     ["BIOS Information", "Base Board", "OEM Strings"]),
    (300, 6 << 20, [], ["Core Count: 300", "Size: 6 TB", "Maximum Capacity: 6 TB", "Range Size: 6 TB"], []),
    (1, 512, ["type=0,vendor=V,version=W,date=01/02/2003,release=4.5,uefi=on"],
     ["Vendor: V", "Version: W", "Release Date: 01/02/2003", "BIOS Revision: 4.5", "UEFI is supported", "System is a virtual machine"], []),
    (1, 512, ["type=1,manufacturer=M,product=P,version=1,serial=S,uuid=00112233-4455-6677-8899-aabbccddeeff,sku=K,family=F",
              "type=1,serial=T", "type=2,location=shelf", "type=3,asset=A", "type=4,current-speed=1500,part=N",
              "type=17,bank=B,speed=2400"],
     ["Manufacturer: M", "Serial Number: T", "UUID: 00112233-4455-6677-8899-aabbccddeeff", "SKU Number: K", "Family: F",
      "Location In Chassis: shelf", "Asset Tag: A", "Current Speed: 1500 MHz", "Part Number: N", "Bank Locator: B",
      "Speed: 2400 MT/s"], ["Serial Number: S"]),
    (1, 512, ["type=0x11,bank=B"], ["Bank Locator: B"], ["OEM Strings"]),
    (1, 512, ["type=11,value=one,,comma,value=two", "type=11,path={file}"],
     ["String 1: one,comma", "String 2: two", f"String 3: {LONG}"], []),
]


def main():
    if not shutil.which("dmidecode"):
        print("skip: there is no dmidecode")
        return 77
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        dump, text = os.path.join(folder, "dump"), os.path.join(folder, "text")
        with open(text, "w", encoding="utf-8") as stream:
            stream.write(LONG)
        for cpus, mib, options, wanted, unwanted in CASES:
            subprocess.run([sys.argv[1], dump, str(cpus), str(mib), *[o.format(file=text) for o in options]], check=True)
            done = subprocess.run(["dmidecode", "--from-dump", dump], capture_output=True, text=True, timeout=30)
            lines = [line.strip() for line in done.stdout.splitlines()]
            faults += [f"{options}: no '{w}'" for w in wanted if w not in lines]
            faults += [f"{options}: there is '{u}'" for u in unwanted if u in lines]
            faults += [f"{options}: {line}" for line in lines + done.stderr.splitlines()
                       if "BAD INDEX" in line or "<OUT OF SPEC>" in line or "broken" in line.lower() or "wrong" in line.lower()]
            if faults:
                print(done.stdout, done.stderr)
                break
    print("\n".join(faults) or "dmidecode reads what was asked for")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
