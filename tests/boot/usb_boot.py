#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Debian's kernel with a USB controller: keys and a tablet's motion arrive as they were sent, a file system on a USB disk
is read and written, and a stick and a mouse come and go. usb_boot.py EMULATOR [OPTIONS...]. Exit 77 where there is no
guest."""
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tools"))
sys.path.insert(0, os.path.join(HERE, "..", "qmp"))
from isotools import guest  # noqa: E402
from qmp_client import Qmp  # noqa: E402

PATIENCE = 150 * float(os.environ.get("ISOMER_PATIENCE", "1"))
DISK, STICK, PAYLOAD = 64 << 20, 3 << 20, 9 << 20
MODULES = ["xhci_pci", "usbhid", "hid_generic", "evdev", "usb_storage", "sd_mod", "crc32c_generic", "ext4"]
# A device's events, one a line, until one comes that ends with $2.
SCRIPT = """
input() { for d in /sys/class/input/event*; do [ "$(cat $d/device/name)" = "$1" ] && echo /dev/input/${d##*/}; done; }
events() {
    while :; do
        line=$(dd bs=24 count=1 2>/dev/null | hexdump -v -e '24/1 "%%02x"' | cut -c 33-)
        echo "@$1 $line"
        case $line in *$2) return;; esac
    done
}
until [ "$(input 'QEMU QEMU USB Keyboard')" -a "$(input 'QEMU QEMU USB Tablet')" -a -b /dev/sda ]; do sleep 0.1; done
for d in /sys/bus/usb/devices/[0-9]-*[0-9]; do
    [ -e $d/product ] && echo "@usb $(cat $d/idVendor):$(cat $d/idProduct) $(cat $d/speed) $(cat $d/product)"
done
exec 3<$(input 'QEMU QEMU USB Keyboard') 4<$(input 'QEMU QEMU USB Tablet')
echo "@send keys"
events key 0100010000000000 <&3
echo "@send motion"
events motion 0100100100000000 <&4
mkdir /mnt
mount -t ext4 /dev/sda /mnt && echo "@read $(md5sum < /mnt/payload)"
head -c %d /dev/urandom > /mnt/written
echo "@written $(md5sum < /mnt/written)"
sync
umount /mnt
for round in 1 2; do
    echo "@send stick"
    until [ -b /dev/sdb ]; do sleep 0.1; done
    echo "@stick $(md5sum < /dev/sdb) $(cat /sys/block/sdb/removable)"
    until [ "$(input 'QEMU QEMU USB Mouse')" ]; do sleep 0.1; done
    echo "@pull"
    while [ -b /dev/sdb -o "$(input 'QEMU QEMU USB Mouse')" ]; do sleep 0.1; done
    echo "@gone"
done
dmesg | grep -E 'I/O error|EXT4-fs.*error|BUG:|WARNING:|xhci_hcd.*(ERROR|WARN|died)' | sed 's/^/@fault /'
echo "@done"
""" % PAYLOAD


def key_event(name, down):
    return {"type": "key", "data": {"down": down, "key": {"type": "qcode", "data": name}}}


def send_keys(qmp):
    qmp.command("send-key", keys=[{"type": "qcode", "data": "a"}], **{"hold-time": 1})
    qmp.command("send-key", keys=[{"type": "qcode", "data": "shift"}, {"type": "number", "data": 48}], **{"hold-time": 1})
    qmp.command("human-monitor-command", **{"command-line": "sendkey f1-0xc8 1"})
    qmp.command("send-key", keys=[{"type": "qcode", "data": "esc"}], **{"hold-time": 1})


def send_motion(qmp):
    motion = [{"type": "abs", "data": {"axis": axis, "value": value}} for axis, value in (("x", 0x1234), ("y", 0x4321))]
    button = [{"type": "btn", "data": {"down": down, "button": "left"}} for down in (True, False)]
    wheel = [{"type": "btn", "data": {"down": True, "button": "wheel-down"}}]
    for events in (motion, button[:1] + wheel, button[1:]):
        qmp.command("input-send-event", events=events)


def plug(qmp):
    qmp.command("device_add", driver="usb-storage", drive="stick", id="stick", bus="xhci.0", removable=True)
    qmp.command("device_add", driver="usb-mouse", id="mouse", bus="xhci.0", port="6")


def pull(qmp):
    for device in ("stick", "mouse"):
        qmp.command("device_del", id=device)


ACTIONS = {"@send keys": send_keys, "@send motion": send_motion, "@send stick": plug, "@pull": pull}


def decode(lines):
    """(type, code, value) of the events but for scan codes, separators and repeats."""
    events = []
    for line in lines:
        data = bytes.fromhex(line)
        if len(data) != 8:
            return [f"no event: {line}"]
        event = (data[0] | data[1] << 8, data[2] | data[3] << 8, int.from_bytes(data[4:], "little", signed=True))
        if event[0] not in (0, 4) and event[::2] != (1, 2):
            events.append(event)
    return events


def make_disk(folder):
    tree, disk = os.path.join(folder, "tree"), os.path.join(folder, "disk")
    os.mkdir(tree)
    payload = os.urandom(PAYLOAD)
    with open(os.path.join(tree, "payload"), "wb") as stream:
        stream.write(payload)
    with open(disk, "wb") as stream:
        stream.truncate(DISK)
    subprocess.run(["mkfs.ext4", "-q", "-d", tree, disk], check=True)
    return disk, hashlib.md5(payload).hexdigest()


def written_on(disk, folder):
    copy = os.path.join(folder, "copy")
    subprocess.run(["debugfs", "-R", f"dump written {copy}", disk], check=True, stderr=subprocess.DEVNULL)
    if not os.path.exists(copy):
        return "nothing"
    with open(copy, "rb") as stream:
        return hashlib.md5(stream.read()).hexdigest()


def talk(emulator, address, said):
    """The guest's lines that begin with @, each with what it asks for done."""
    qmp = None
    for raw in emulator.stdout:
        line = raw.decode(errors="replace").strip()
        if not line.startswith("@"):
            continue
        said.append(line)
        qmp = qmp or Qmp.over(address)
        if line in ACTIONS:
            ACTIONS[line](qmp)
    return emulator.wait(30)


def check(said, status, facts):
    def of(what):
        return [line.split(" ", 1)[1] for line in said if line.startswith(f"@{what} ")]
    written = (of("written") or [""])[0].split(" ")[0]
    wanted = {
        "devices": (sorted(["0627:0001 480 QEMU USB Keyboard", "0627:0001 480 QEMU USB Tablet",
                            "46f4:0001 5000 QEMU USB HARDDRIVE"]), sorted(of("usb"))),
        "keys": ([(1, code, down) for code, down in
                  [(30, 1), (30, 0), (42, 1), (48, 1), (48, 0), (42, 0), (59, 1), (103, 1), (103, 0), (59, 0), (1, 1), (1, 0)]],
                 decode(of("key"))),
        "motion": ([(3, 0, 0x1234), (3, 1, 0x4321), (1, 0x110, 1), (2, 8, -1), (1, 0x110, 0)],
                   [e for e in decode(of("motion")) if e[:2] != (2, 11)]),  # the wheel's finer steps aside
        "read": ([facts["payload"] + "  -"], of("read")), "written": (facts["written"], written),
        "stick": ([facts["stick"] + "  - 1"] * 2, of("stick")), "gone": (2, said.count("@gone")),
        "faults": ([], of("fault")), "done": (1, said.count("@done")), "status": (0, status)}
    return [f"{name}: wanted {w!r}, got {g!r}" for name, (w, g) in wanted.items() if w != g]


def main():
    files = guest.for_test("generic", ["mkfs.ext4", "debugfs"])
    guest.expect_sandbox(sys.argv)
    with tempfile.TemporaryDirectory() as folder:
        initrd, address, stick = (os.path.join(folder, name) for name in ("initrd", "qmp", "stick"))
        guest.make_initrd(initrd, files, SCRIPT, modules=MODULES)
        disk, payload = make_disk(folder)
        content = os.urandom(STICK)
        with open(stick, "wb") as stream:
            stream.write(content)
        said, status = [], None
        with subprocess.Popen(
                [sys.argv[1], "-M", "virt", "-cpu", "cortex-a72", "-m", "512", "-nodefaults", "-display", "none", "-serial",
                 "stdio", "-qmp", f"unix:{address},server=on,wait=off", "-kernel", files.kernel, "-initrd", initrd, "-append",
                 "console=ttyAMA0 quiet nosoftlockup", "-drive", f"file={disk},if=none,format=raw,id=disk", "-drive",
                 f"file={stick},if=none,format=raw,id=stick", "-device", "qemu-xhci,id=xhci,p2=6,p3=6", "-device", "usb-kbd",
                 "-device", "usb-tablet", "-device", "usb-storage,drive=disk,bus=xhci.0", *sys.argv[2:]],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as emulator:
            deadline = threading.Timer(PATIENCE, emulator.kill)
            deadline.start()
            try:
                status = talk(emulator, address, said)
            finally:
                deadline.cancel()
                emulator.kill()
        facts = {"payload": payload, "stick": hashlib.md5(content).hexdigest(), "written": written_on(disk, folder)}
        faults = check(said, status, facts)
    if faults:
        print("\n".join(re.sub("(.{200}).*", r"\1...", line) for line in said[-40:]))
    print("\n".join(faults) or "USB devices did what they should, came and went")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
