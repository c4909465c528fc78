#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Command lines of other tools, word for word but for paths and ports: each boots a guest to its init, or is refused in one
sentence that names what is missing, with status 1. tools_lines.py EMULATOR [TOOL...]; exit 77 where there is no guest."""
import os
import re
import socket
import subprocess
import sys
import tempfile

from tool_machine import PATIENCE, USERSPACE, Emulator, Failed, Serial, guest

ABSENT = r"there is no device '%s' \(try -device help\)"
UNSUPPORTED = r"machine option '%s' is not supported"
# What the tool appends to say where the guest's console goes, when its own line leaves it to a window or a file.
CONSOLE = "-display none -serial stdio -monitor none"
BOOT = "-kernel {kernel} -initrd {initrd} -append console=ttyAMA0"
# tool, its words, and None where they boot, else the sentence of the refusal
LINES = [
    ("packer", f"-qmp unix:{{sock}},server,nowait -machine type=virt,accel=tcg -name packer -netdev "
     f"user,id=user.0,hostfwd=tcp::{{port}}-:22 -device virtio-net,netdev=user.0 -vnc none -boot once=d -m 512M -drive "
     f"file={{disk}},if=virtio,cache=writeback,discard=ignore,format=qcow2 {CONSOLE} {BOOT}", None),
    ("packer", f"-machine type=virt,accel=tcg -vnc 127.0.0.1:47 -m 512M {BOOT}", "-vnc 127.0.0.1:47 is not supported"),
    ("packer", f"-machine type=pc,accel=kvm -m 512M {BOOT}", "there is no (machine 'pc'|accelerator 'kvm')"),
    ("lima", f"-cpu max,pauth-impdef=on -machine virt,accel=tcg -accel tcg,thread=multi,tb-size=512 -smp 2 -m 512 -device "
     f"virtio-rng-pci -pidfile {{pid}} -drive file={{disk}},if=virtio,discard=on {CONSOLE} {BOOT}", None),
    ("lima", f"-machine q35,vmport=off {BOOT}", "there is no machine 'q35'"),
    ("vagrant", f"-machine virt -cpu cortex-a72 -m 512 -pidfile {{pid}} -monitor unix:{{sock}},server,nowait -display none "
     f"-serial stdio {BOOT}", None),
    ("nomad", "-machine type=pc,accel=tcg -name nomad -m 512M -drive file={disk},if=ide -nographic", "there is no machine 'pc'"),
    ("nomad", "-machine type=virt,accel=tcg -name nomad -m 512M -drive file={disk},if=ide -nographic", "if=ide is not supported"),
    ("buildroot", "-M virt -cpu cortex-a53 -nographic -smp 1 -kernel {kernel} -append rootwait,root=/dev/vda,console=ttyAMA0 "
     "-netdev user,id=eth0 -device virtio-net-device,netdev=eth0 -drive file={raw},if=none,format=raw,id=hd0 -device "
     "virtio-blk-device,drive=hd0 -initrd {initrd}", None),
    ("lava", f"-cpu max -machine virt,gic-version=3 -net nic,model=virtio,macaddr=52:54:00:12:34:58 -net user -m 512 -monitor "
     f"none -drive format=qcow2,file={{disk}},media=disk,if=virtio,id=lavatest -nographic {BOOT}", None),
    ("tuxrun", f"-cpu max,pauth-impdef=on -machine virt,virtualization=on,gic-version=3,mte=on {BOOT}",
     UNSUPPORTED % "virtualization=on"),
    ("mkosi", f"-machine virt -smp 2 -m 512M -no-user-config -blockdev "
     f"driver=qcow2,node-name=mkosi,file.driver=file,file.filename={{disk}} -device virtio-blk-pci,drive=mkosi -smbios "
     f"type=11,value=io.systemd.credential:a=b -fw_cfg name=opt/io.systemd.stub.kernel-cmdline-extra,file={{raw}} -device "
     f"virtio-rng-pci {CONSOLE} {BOOT}", None),
    ("mkosi", f"-machine virt -add-fd fd=3,set=1,opaque=/dev/null {BOOT}", "option '-add-fd': passed descriptors are not supported"),
    ("syzkaller", f"-m 512 -smp 2 -chardev socket,id=SOCKSYZ,server=on,wait=off,host=localhost,port={{port}} -mon "
     f"chardev=SOCKSYZ,mode=control -display none -serial stdio -no-reboot -name VM-0 -device virtio-rng-pci -machine "
     f"virt,gic-version=max -cpu max -device virtio-net-pci,netdev=net0 -netdev "
     f"user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:{{other}}-:22 -hda {{disk}} -snapshot {BOOT}", None),
    ("syzkaller", f"-machine virt,virtualization=on,gic-version=max -cpu max {BOOT}", UNSUPPORTED % "virtualization=on"),
    ("kunit", f"-nodefaults -m 1024 -kernel {{kernel}} -append console=ttyAMA0,kunit_shutdown=reboot -no-reboot -nographic "
     f"-serial stdio -machine virt -cpu max,pauth-impdef=on -initrd {{initrd}}", None),
    ("kvm-unit-tests", f"-nodefaults -machine virt,gic-version=3,highmem=off -accel tcg -cpu max -device virtio-serial-device "
     f"-device virtconsole,chardev=ctd -chardev testdev,id=ctd -device pci-testdev -display none -serial stdio {BOOT}", None),
    ("kvm-unit-tests", f"--no-reboot -nodefaults -device pc-testdev -device isa-debug-exit,iobase=0xf4,iosize=0x4 -vnc none "
     f"-serial stdio -device pci-testdev -machine accel=tcg {BOOT}", ABSENT % "pc-testdev"),
    ("virtme-ng", f"-M virt -cpu cortex-a57 -m 512 -fsdev local,id=virtfs1,path={{folder}},security_model=none,multidevs=remap "
     f"-device virtio-9p-device,fsdev=virtfs1,mount_tag=/dev/root -parallel none -net none -echr 1 -chardev "
     f"stdio,id=console,signal=off,mux=off -serial chardev:console -display none -monitor none -no-reboot {BOOT}", None),
    ("virtme-ng", f"-M microvm,accel=tcg,pcie=on,rtc=on {BOOT}", "there is no machine 'microvm'"),
    ("yocto", f"-machine virt -cpu cortex-a57 -smp 4 -device virtio-gpu-pci -serial mon:stdio {BOOT}", ABSENT % "virtio-gpu-pci"),
    ("op-tee", f"-machine virt,acpi=off,secure=on,gic-version=3 {BOOT}", UNSUPPORTED % "secure=on"),
    ("zephyr", f"-machine virt -icount shift=4,align=off,sleep=off -rtc clock=vm {BOOT}", "option '-icount': .* not supported"),
]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def places(emulator):
    """Fresh values of what stands in braces."""
    disk, raw = emulator.path("disk.qcow2"), emulator.path("raw")
    subprocess.run([emulator.emulator, "img", "create", "-q", "-f", "qcow2", disk, "64M"], check=True)
    with open(raw, "wb") as stream:
        stream.truncate(1 << 20)
    return {"kernel": emulator.files.kernel, "initrd": emulator.initrd, "disk": disk, "raw": raw, "folder": emulator.folder,
            "sock": emulator.path("socket"), "pid": emulator.path("pid"), "port": free_port(), "other": free_port()}


def words_of(line, values):
    """The line cut into words; a comma within -append stands for a space."""
    words = [word.format(**values) for word in line.split()]
    for i, word in enumerate(words):
        if word == "-append":
            words[i + 1] = words[i + 1].replace(",", " ")
    return words


def boots(emulator, words):
    process = subprocess.Popen([emulator.emulator, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    try:
        Serial(process.stdout.fileno()).expect(USERSPACE)
    finally:
        process.kill()
        process.wait()


def refused(emulator, words, sentence):
    done = subprocess.run([emulator.emulator, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=PATIENCE, check=False)
    if done.returncode != 1 or not re.fullmatch(rf"isomer: (?:.*)(?:{sentence}).*\n", done.stderr):
        raise Failed(f"status {done.returncode}: {done.stderr}")


def main():
    chosen, faults = sys.argv[2:], 0
    files = guest.for_test(programs=[sys.argv[1]])
    with tempfile.TemporaryDirectory() as folder:
        emulator = Emulator(os.path.abspath(sys.argv[1]), files, folder)
        for tool, line, sentence in LINES:
            if chosen and tool not in chosen:
                continue
            words = words_of(line, places(emulator))
            print(f"{tool}: {'refused' if sentence else 'boots'}", flush=True)
            try:
                if sentence:
                    refused(emulator, words, sentence)
                else:
                    boots(emulator, words)
            except (Failed, OSError, subprocess.SubprocessError) as err:
                faults += 1
                print(f"  WRONG: {' '.join(words)}: {err}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
