#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Debian's firmware on the board: firmware_boot.py EMULATOR SCENARIO. Exit 77 where there is no firmware or guest.

u-boot     U-Boot reaches its prompt from -bios, finds a virtio disk and PCI functions; the environment it saves into flash is
           there in the next run.
efi-shell  EDK2 reaches its shell, where it lists PCI functions and a disk; a variable that it keeps in flash is there in the
           next run, and so are SMBIOS strings.
efi-run    "isomer run" with nothing but a qcow2 disk ends in EDK2's shell, which reads the disk's content.
efi-usb    EDK2 finds a USB disk, and its shell obeys a USB keyboard.
efi-linux  EDK2 starts a kernel that it was given by -kernel; Linux finds its devices by ACPI and hears the power button.
"""
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from isotools import guest  # noqa: E402
from isotools.console import Console, ConsoleError  # noqa: E402

UBOOT = "/usr/lib/u-boot/qemu_arm64/u-boot.bin"
CODE, VARS = "/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"
PATIENCE = 120 * float(os.environ.get("ISOMER_PATIENCE", "1"))
GUID = "12345678-1234-1234-1234-123456789abc"
FLASH = 64 << 20


def machine(emulator, *options):
    return [emulator, "-M", "virt", "-cpu", "cortex-a72", "-m", "1024", "-nographic", "-nic", "none", *options]


def disk(folder):
    """Options for a virtio disk on PCI that holds nothing."""
    path = os.path.join(folder, "disk")
    with open(path, "wb") as stream:
        stream.truncate(16 << 20)
    return ["-drive", f"file={path},if=none,format=raw,id=disk", "-device", "virtio-blk-pci,drive=disk,serial=S-1"]


def u_boot(emulator, folder):
    env = os.path.join(folder, "env")
    with open(env, "wb") as stream:
        stream.truncate(FLASH)
    options = ["-bios", "u-boot.bin" if "isomer" in os.path.basename(emulator) else UBOOT,
               "-drive", f"if=pflash,unit=1,file={env},format=raw", *disk(folder)]
    for turn in range(2):
        with Console(machine(emulator, *options)) as console:
            console.expect("Hit any key to stop autoboot", PATIENCE)
            console.send("\r")
            console.expect("=> ", PATIENCE)
            if turn:
                console.send("printenv kept\r")
                console.expect("kept=in flash\r*\n", PATIENCE)
                console.expect("=> ", PATIENCE)
            else:
                console.send("pci\r")
                console.expect("0x1af4 +0x1042.*=> ", PATIENCE)
                console.send("virtio scan; virtio info\r")
                console.expect(r"VirtIO Block Device.*Capacity: 16\.0 MB.*=> ", PATIENCE)
                console.send("setenv kept in flash\r")
                console.expect("=> ", PATIENCE)
                console.send("saveenv\r")
                console.expect(r"Writing to Flash... done\r*\n", PATIENCE)
                console.expect("=> ", PATIENCE)
            console.send("poweroff\r")
            if console.wait(PATIENCE):
                return ["poweroff gives another exit status than 0"]
    return []


def efi(folder, *options):
    variables = os.path.join(folder, "vars")
    if not os.path.exists(variables):
        shutil.copy(VARS, variables)
    return ["-drive", f"if=pflash,unit=0,file={CODE},format=raw,readonly=on",
            "-drive", f"if=pflash,unit=1,file={variables},format=raw", *options]


def efi_shell(emulator, folder):
    options = efi(folder, "-smbios", "type=1,serial=S-4711", "-smbios", "type=11,value=one,value=two", *disk(folder))
    for turn in range(2):
        with Console(machine(emulator, *options)) as console:
            console.expect("Press .*ESC", PATIENCE)
            console.send("\x1b")
            console.expect("Shell> ", PATIENCE)
            if turn:
                console.send(f"setvar kept -guid {GUID}\r")
                console.expect("78 56 34 12", PATIENCE)
                console.expect("Shell> ", PATIENCE)
                console.send("smbiosview -t 1\r")
                console.expect("S-4711", PATIENCE)
            else:
                console.send("pci\r")
                console.expect("1AF4 Device 1042", PATIENCE)
                console.expect("Shell> ", PATIENCE)
                console.send("map -r\r")
                console.expect("BLK0:.*Pci", PATIENCE)
                console.expect("Shell> ", PATIENCE)
                console.send(f"setvar kept -guid {GUID} -bs -rt -nv =0x12345678\r")
            console.expect("Shell> ", PATIENCE)
            console.send("reset -s\r")
            if console.wait(PATIENCE):
                return ["reset -s gives another exit status than 0"]
    return []


def efi_run(emulator, folder):
    disk = os.path.join(folder, "disk")
    subprocess.run([emulator, "img", "create", "-f", "qcow2", disk, "16M"], check=True, stdout=subprocess.DEVNULL)
    with Console([emulator, "run", disk, "-nographic", "-nic", "none"]) as console:
        console.expect("Press .*ESC", PATIENCE)
        console.send("\x1b")
        console.expect("Shell> ", PATIENCE)
        console.send("dblk BLK0 0 1\r")
        console.expect(r"00000000: (00 ){7}00[-\s](00 ){7}00", PATIENCE)
        console.expect("Shell> ", PATIENCE)
        console.send("reset -s\r")
        if console.wait(PATIENCE):
            return ["reset -s gives another exit status than 0"]
    return []


def efi_usb(emulator, folder):
    disk = os.path.join(folder, "disk")
    with open(disk, "wb") as stream:
        stream.truncate(8 << 20)
    options = efi(folder, "-device", "qemu-xhci", "-device", "usb-kbd", "-drive", f"file={disk},if=none,format=raw,id=disk",
                  "-device", "usb-storage,drive=disk")
    with Console(machine(emulator, *options)) as console:
        console.expect("Press .*ESC", PATIENCE)
        console.send("\x1b")
        console.expect("Shell> ", PATIENCE)
        for keys in ("m", "a", "p", "spc", "minus", "b", "ret"):
            console.monitor(f"sendkey {keys} 1", PATIENCE)
        console.expect(r"BLK\d+:.*\n.*/USB\(0x\d,0x0\)", PATIENCE)
        console.expect("Shell> ", PATIENCE)
        console.send("reset -s\r")
        if console.wait(PATIENCE):
            return ["reset -s gives another exit status than 0"]
    return []


def efi_linux(emulator, folder):
    files = guest.for_test("cloud", [emulator])
    initrd = os.path.join(folder, "initrd")
    guest.make_initrd(initrd, files)
    options = efi(folder, "-smp", "2", "-kernel", files.kernel, "-initrd", initrd,
                  "-append", "acpi=force console=ttyAMA0 quiet")
    wanted = {
        "cd /sys/firmware/acpi/tables; ls APIC DBG2 DSDT FACP GTDT SPCR 2>&1 | grep -v '^....$'": "",
        "nproc": "2",
        "ls -d /sys/firmware/devicetree/base/cpus 2>/dev/null": "",
        "ls /sys/bus/acpi/devices | grep -c LNRO0005": "32",
        "cat /sys/class/dmi/id/product_version": "virt-7.2",
        "grep -c ACPI:Event /proc/interrupts": "1",
        "dmesg | grep -E 'ACPI (Error|Exception|BIOS Error)|Firmware (Bug|Warn)|WARNING|BUG:'": "",
    }
    faults = []
    with Console(machine(emulator, *options)) as console:
        console.expect(guest.PROMPT, PATIENCE)
        for command, answer in wanted.items():
            said, _ = console.shell(command, guest.PROMPT, PATIENCE)
            if said.strip() != answer.strip():
                faults.append(f"{command}: {said}")
        console.monitor("system_powerdown", PATIENCE)
        console.send("\r")
        console.expect(guest.PROMPT, PATIENCE)
        presses = "awk '/ACPI:Event/ {print $2 + $3}' /proc/interrupts"
        said, _ = console.shell(f"for i in $(seq 50); do n=$({presses}); [ $n = 1 ] && break; sleep 0.1; done; echo $n",
                                guest.PROMPT, PATIENCE)
        if said != "1":
            faults.append(f"the power button was pressed once and heard {said} times")
        console.send("poweroff\r")
        if console.wait(PATIENCE):
            faults.append("poweroff gives another exit status than 0")
    return faults


def main():
    emulator, scenario = sys.argv[1:3]
    run, needs = {"u-boot": (u_boot, [UBOOT]), "efi-shell": (efi_shell, [CODE, VARS]),
                  "efi-usb": (efi_usb, [CODE, VARS]), "efi-run": (efi_run, [CODE]),
                  "efi-linux": (efi_linux, [CODE, VARS])}[scenario]
    for path in needs:
        if not os.path.exists(path):
            print(f"skip: there is no {path}")
            return 77
    with tempfile.TemporaryDirectory() as folder:
        try:
            faults = run(emulator, folder)
        except ConsoleError as err:
            faults = [str(err)]
    print("\n".join(faults) or "the firmware did what it should")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
