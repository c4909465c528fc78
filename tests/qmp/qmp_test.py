#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Conversations in QMP with the whole program, the ways that tools hold them: qmp_test.py PROGRAM. The program may be
one without a real accelerator."""
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

OPTIONS = ["-smp", "2", "-m", "128", "-display", "none", "-serial", "null", "-name", "test"]
GREETING = {"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": r"Isomer [\d.]+"},
                    "capabilities": []}}


def fail(text):
    sys.exit(f"qmp: {text}")


def matches(wanted, got):
    """Strings in `wanted` are patterns; ... is anything; an object has the same members."""
    if wanted is ...:
        return True
    if isinstance(wanted, str):
        return isinstance(got, str) and re.fullmatch(wanted, got, re.S) is not None
    if isinstance(wanted, dict):
        return isinstance(got, dict) and wanted.keys() == got.keys() and all(matches(v, got[k]) for k, v in wanted.items())
    if isinstance(wanted, list):
        return isinstance(got, list) and len(wanted) == len(got) and all(map(matches, wanted, got))
    return type(wanted) is type(got) and wanted == got


def check(what, wanted, got):
    if not matches(wanted, got):
        fail(f"{what}: got\n{json.dumps(got)}\ninstead of\n{wanted}")


def error(desc, kind="GenericError", **more):
    return {"error": {"class": kind, "desc": desc}, **more}


def event(name, **data):
    return {"timestamp": {"seconds": ..., "microseconds": ...}, "event": name, **({"data": data} if data else {})}


OK = {"return": {}}
CAPS = '{"execute": "qmp_capabilities"}'


def run(program, text, *options, wanted_status=0):
    """All of the text at once over standard input; the lines that came back as values."""
    done = subprocess.run([program, *OPTIONS, *options, "-qmp", "stdio"], input=text, capture_output=True, timeout=20)
    if done.returncode != wanted_status:
        fail(f"exit status {done.returncode}: {done.stderr.decode()}")
    lines = done.stdout.decode().split("\r\n")
    if lines.pop() != "":
        fail(f"the last line is not complete: {done.stdout!r}")
    return [json.loads(line) for line in lines]


# what is sent, what is answered; each on a machine that runs
TALK = [
    ('{"execute": "query-status"}', error("Expecting capabilities negotiation with 'qmp_capabilities'", "CommandNotFound")),
    ('{"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}}', error('Capability "oob" is not available')),
    (CAPS, OK),
    (CAPS, error("Capabilities negotiation is already complete, command ignored", "CommandNotFound")),
    ('{"execute": "query-status", "id": 7}',
     {"return": {"status": "running", "singlestep": False, "running": True}, "id": 7}),
    ('{"execute": "query-name", "id": {"a": [1, "x"]}}', {"return": {"name": "test"}, "id": {"a": [1, "x"]}}),
    ("{'execute': 'query-kvm'}", {"return": {"enabled": False, "present": False}}),
    ('{"execute": "frob", "id": "x"}', error("The command frob has not been found", "CommandNotFound", id="x")),
    ('{"execute": 1}', error("QMP input member 'execute' must be a string")),
    ('{"exec": "stop"}', error("QMP input member 'exec' is unexpected")),
    ('{"id": 1}', error("QMP input lacks member 'execute'", id=1)),
    ('[1]', error("QMP input must be a JSON object")),
    ('{"execute": "stop", "arguments": []}', error("QMP input member 'arguments' must be an object")),
    ('{"execute": "stop", "arguments": {"x": 1}}', error("Parameter 'x' is unexpected")),
    ('{"execute": "qom-list"}', error("Parameter 'path' is missing")),
    ('{"execute": "qom-list", "arguments": {"path": 1}}', error("Invalid parameter type for 'path', expected: string")),
    ('{"execute" "stop"}', error("Invalid JSON syntax")),
    ('{"execute": "st\xff"}', error("Invalid JSON syntax")),
    ('garbage {"execute": "stop"}', error("Invalid JSON syntax")),
    ("[" * 40, error("JSON nesting depth limit exceeded")),
    ('{"x": "' + "x" * 300000 + '"}', error("JSON message size limit exceeded")),
    ('{"execute": "query-version"}', {"return": GREETING["QMP"]["version"]}),
    ('{"execute": "query-uuid"}', {"return": {"UUID": "[0-]{36}"}}),
    ('{"execute": "query-vnc"}', {"return": {"enabled": False}}),
    ('{"execute": "query-cpus-fast"}', {"return": [
        {"thread-id": 1000 + i, "props": {"core-id": i, "thread-id": 0, "socket-id": 0},
         "qom-path": rf"/machine/unattached/device\[{i}\]", "cpu-index": i, "target": "aarch64"} for i in range(2)]}),
    ('{"execute": "query-block"}', {"return": [...]}),
    ('{"execute": "query-chardev"}', {"return": [
        {"frontend-open": True, "filename": "null", "label": "serial0"},
        {"frontend-open": True, "filename": "stdio", "label": "monitor0"}]}),
    ('{"execute": "query-memory-size-summary"}', {"return": {"base-memory": 128 << 20, "plugged-memory": 0}}),
    ('{"execute": "qom-list", "arguments": {"path": "/machine"}}', {"return": [
        {"name": "type", "type": "string"}, {"name": "unattached", "type": r"child<container>"},
        {"name": "peripheral", "type": "child<container>"}, {"name": "peripheral-anon", "type": "child<container>"}]}),
    ('{"execute": "qom-get", "arguments": {"path": "/machine", "property": "type"}}', {"return": "virt-machine"}),
    ('{"execute": "qom-get", "arguments": {"path": "/machine/unattached/device[1]", "property": "type"}}',
     {"return": "cortex-a72-arm-cpu"}),
    ('{"execute": "qom-get", "arguments": {"path": "/nosuch", "property": "type"}}',
     error("Device '/nosuch' not found", "DeviceNotFound")),
    ('{"execute": "qom-get", "arguments": {"path": "/machine/unattached/device[999]", "property": "type"}}',
     error(r"Device '/machine/unattached/device\[999\]' not found", "DeviceNotFound")),
    ('{"execute": "qom-get", "arguments": {"path": "/machine", "property": "x"}}',
     error("Property 'virt-machine.x' not found")),
    ('{"execute": "query-migrate"}', OK),
    ('{"execute": "migrate-incoming", "arguments": {"uri": "file:x"}}', error("this machine does not wait for a saved state")),
    ('{"execute": "query-migrate-parameters"}',
     {"return": {"max-bandwidth": 0, "downtime-limit": 300, "multifd-compression": "none"}}),
    ('{"execute": "migrate-set-parameters", "arguments": {"max-bandwidth": 1000000, "multifd-compression": "zlib"}}', OK),
    ('{"execute": "migrate-set-parameters", "arguments": {"downtime-limit": 0, "max-bandwidth": 5}}',
     error("downtime-limit is a number of milliseconds from 1 to 2000000")),
    ('{"execute": "migrate-set-parameters", "arguments": {"max-bandwidth": -1}}', error("max-bandwidth is a number of .*")),
    ('{"execute": "migrate-set-parameters", "arguments": {"multifd-compression": "lzo"}}',
     error("multifd-compression is none, zlib or zstd")),
    ('{"execute": "migrate-set-parameters", "arguments": {"cpu-throttle-initial": 5}}',
     error("Parameter 'cpu-throttle-initial' is unexpected")),
    ('{"execute": "query-migrate-parameters"}',
     {"return": {"max-bandwidth": 1000000, "downtime-limit": 300, "multifd-compression": "zlib"}}),
    ('{"execute": "migrate-set-capabilities", "arguments": {"capabilities": [{"capability": "xbzrle", "state": false}]}}', OK),
    ('{"execute": "migrate-set-capabilities", "arguments": {"capabilities": [{"capability": "postcopy-ram", "state": true}]}}',
     error("The capability 'postcopy-ram' is not supported")),
    ('{"execute": "migrate-set-capabilities", "arguments": {"capabilities": [{"capability": "frob", "state": false}]}}',
     error("There is no capability 'frob'")),
    ('{"execute": "migrate-set-capabilities", "arguments": {"capabilities": [{"capability": null}, 1]}}',
     error("Each of 'capabilities' has .*")),
    ('{"execute": "migrate", "arguments": {"uri": "frob:x"}}', error("'frob:x' is no place for a machine's state.*")),
    ('{"execute": "human-monitor-command", "arguments": {"command-line": "info status"}}',
     {"return": "VM status: running\r\n"}),
    ('{"execute": "human-monitor-command", "arguments": {"command-line": "xp /1xw 0x40000000"}}',
     {"return": "0000000040000000: 0xedfe0dd0\r\n"}),
    ('{"execute": "human-monitor-command", "arguments": {"command-line": "info cpus", "cpu-index": 1}}',
     {"return": r"  CPU #0: (on|off) .*\r\n\* CPU #1: off .*\r\n"}),
    ('{"execute": "human-monitor-command", "arguments": {"command-line": "info cpus", "cpu-index": 2}}',
     error("Parameter 'cpu-index' expects a CPU number")),
    ('{"execute": "human-monitor-command", "arguments": {"command-line": "frob"}}',
     {"return": "unknown command: 'frob'\r\n"}),
    ('{"execute": "screendump", "arguments": {"filename": "/nosuch/x"}}',
     error("There is no console to take a screendump from")),
    ('{"execute": "send-key", "arguments": {"keys": [{"type": "qcode", "data": "a"}]}}',
     error("This machine has no keyboard; of keys it has 'power'")),
    ('{"execute": "send-key", "arguments": {"keys": [{"type": "qcode", "data": null}, null, 1]}}',
     error("This machine has no keyboard; of keys it has 'power'")),
    ('{"execute": "system_wakeup"}', error("Unable to wake up: .*")),
    ('{"execute": "device_add", "arguments": {"driver": "virtio-rng-pci", "bus": "slot0", "x": 1}}',
     error("device 'virtio-rng-pci' does not know the property 'x'")),
    ('{"execute": "device_add", "arguments": {"driver": "virtio-rng-pci", "id": {}}}',
     error("Invalid parameter type for 'id', expected: string")),
    ('{"execute": "device_add", "arguments": {"driver": "virtio-rng-pci", "x": {}}}',
     error("Parameter 'x' is not an option of a device")),
    ('{"execute": "device_add", "arguments": {"driver": "virtio-rng-pci", "a,b": 1}}',
     error("Parameter 'a,b' is not an option of a device")),
    ('{"execute": "device_add", "arguments": {"driver": "no,such"}}', error("there is no device 'no,such'.*")),
    ('{"execute": "device_add", "arguments": {"driver": "virtio-rng-pci", "bus": "slot0", "id": "rng"}}', OK),
    ('{"execute": "device_del", "arguments": {"id": "rng"}}', OK),
    ('{"execute": "device_del", "arguments": {"id": "x"}}',
     error("there is no device 'x' that can be taken out", "DeviceNotFound")),
]
# on the same machine, with the events between
LIFE = [
    ('{"execute": "stop"}', [event("STOP"), OK]),
    ('{"execute": "stop"}', [OK]),
    ('{"execute": "query-status"}', [{"return": {"status": "paused", "singlestep": False, "running": False}}]),
    ('{"execute": "system_reset"}', [OK, event("RESET", guest=False, reason="host-qmp-system-reset")]),
    ('{"execute": "query-status"}', [{"return": {"status": "prelaunch", "singlestep": False, "running": False}}]),
    ('{"execute": "cont"}', [event("RESUME"), OK]),
    ('{"execute": "system_powerdown"}', [event("POWERDOWN"), OK]),
    ('{"execute": "send-key", "arguments": {"keys": [{"type": "qcode", "data": "power"}]}}', [event("POWERDOWN"), OK]),
    ('{"execute": "human-monitor-command", "arguments": {"command-line": "stop"}}', [event("STOP"), {"return": ""}]),
    ('{"execute": "human-monitor-command", "arguments": {"command-line": "cont"}}', [event("RESUME"), {"return": ""}]),
    ('{"execute": "quit"}', [OK, event("SHUTDOWN", guest=False, reason="host-qmp-quit")]),
]


def at_once(program):
    disk = tempfile.NamedTemporaryFile()
    disk.truncate(1 << 20)
    sent = "\n".join(text for text, _ in TALK + LIFE).encode("latin-1")
    wanted = [GREETING] + [answer for _, answer in TALK] + [answer for _, answers in LIFE for answer in answers]
    asked = ["the greeting"] + [text for text, _ in TALK] + [text for text, answers in LIFE for _ in answers]
    got = run(program, sent, "-drive", f"file={disk.name},format=raw,if=virtio,id=hd0,readonly=on",
              "-device", "pcie-root-port,id=slot0")
    for text, w, g in zip(asked, wanted, got):
        check(text[:100], w, g)
    if len(got) != len(wanted):
        fail(f"{len(got)} lines instead of {len(wanted)}")
    block = got[asked.index('{"execute": "query-block"}')]["return"][0]
    inserted = block["inserted"]
    if (block["device"], inserted["ro"], inserted["image"]["virtual-size"], inserted["file"]) != \
            ("hd0", True, 1 << 20, disk.name):
        fail(f"query-block: {block}")
    names = run(program, (CAPS + '{"execute": "query-commands"}{"execute": "quit"}').encode())[2]["return"]
    known = {n["name"] for n in names}
    for text, answer in TALK:
        name = re.search(r'"execute": "([\w-]+)"', text)
        if "return" in answer and name and name[1] not in known:
            fail(f"query-commands lacks {name[1]}")


def key(*names):
    return json.dumps({"execute": "send-key", "arguments": {"keys": [{"type": "qcode", "data": name} for name in names]}})


def input_event(kind, **data):
    return json.dumps({"execute": "input-send-event", "arguments": {"events": [{"type": kind, "data": data}]}})


def human(line):
    return json.dumps({"execute": "human-monitor-command", "arguments": {"command-line": line}})


NO_SUCH_INPUT = error("This machine has no input device for such an event")
# on a machine with a USB keyboard
KEYS = [
    (CAPS, [OK]),
    (key("a", "shift"), [OK]),
    (key("frob"), [error("Parameter 'keys' holds what is no key")]),
    (key("lf"), [error("The machine's keyboard has not all of these keys")]),
    (key(*["a"] * 33), [error("There can be at most 32 keys at a time")]),
    (human("sendkey ctrl-alt-0xd3 5"), [{"return": ""}]),
    (human("sendkey ctrl-frob"), [{"return": "Error: 'frob' is no key\r\n"}]),
    (input_event("key", down=True, key={"type": "number", "data": 30}), [OK]),
    (input_event("key", down=True, key={"type": "number", "data": 300}),
     [error("Parameter 'events' holds what is no event that we know")]),
    (input_event("key", down=True, key={"type": "qcode", "data": "power"}), [event("POWERDOWN"), OK]),
    (input_event("rel", axis="x", value=3), [NO_SUCH_INPUT]),
    ('{"execute": "device_add", "arguments": {"driver": "usb-mouse", "bus": "hub.0", "id": "m"}}',
     [error("device usb-mouse: there is no USB bus 'hub.0'")]),
    ('{"execute": "device_add", "arguments": {"driver": "usb-mouse", "id": "m", "port": "1"}}',
     [error("device usb-mouse: there is no free USB port that it fits")]),
    ('{"execute": "device_add", "arguments": {"driver": "usb-mouse", "id": "m"}}', [OK]),
    ('{"execute": "device_add", "arguments": {"driver": "usb-mouse", "id": "m"}}',
     [error("there are two devices with the id 'm'")]),
    (input_event("rel", axis="x", value=3), [OK]),
    (input_event("abs", axis="x", value=3), [NO_SUCH_INPUT]),
    (input_event("btn", button="left", down=True), [OK]),
    ('{"execute": "device_del", "arguments": {"id": "m"}}', [event("DEVICE_DELETED", device="m", path="/machine/peripheral/m"), OK]),
    (input_event("btn", button="left", down=True), [NO_SUCH_INPUT]),
    ('{"execute": "quit"}', [OK, event("SHUTDOWN", guest=False, reason="host-qmp-quit")]),
]


def keys(program):
    got = run(program, "\n".join(text for text, _ in KEYS).encode(), "-device", "qemu-xhci", "-device", "usb-kbd")
    wanted = [(text, answer) for text, answers in KEYS for answer in answers]
    for (text, w), g in zip(wanted, got[1:]):
        check(text[:100], w, g)
    if len(got) != len(wanted) + 1:
        fail(f"{len(got)} lines instead of {len(wanted) + 1}")


def lists(program):
    text = CAPS + "".join(f'{{"execute": "{c}"}}' for c in ("query-machines", "query-cpu-definitions", "query-events", "quit"))
    _, _, machines, cpus, events, _, _ = run(program, text.encode())
    if not any(m["name"] == "virt" and m["cpu-max"] == 512 for m in machines["return"]):
        fail(f"query-machines: {machines}")
    if not any(c["name"] == "max" for c in cpus["return"]):
        fail(f"query-cpu-definitions: {cpus}")
    if {e["name"] for e in events["return"]} != {"SHUTDOWN", "POWERDOWN", "RESET", "STOP", "RESUME", "GUEST_PANICKED",
                                                       "WATCHDOG", "DEVICE_DELETED"}:
        fail(f"query-events: {events}")


def stopped_at_start(program):
    text = CAPS + '{"execute": "query-status"}{"execute": "cont"}{"execute": "human-monitor-command", ' \
        '"arguments": {"command-line": "quit"}}'
    got = run(program, text.encode(), "-S")
    check("-S", [GREETING, OK, {"return": {"status": "prelaunch", "singlestep": False, "running": False}}, event("RESUME"),
                 OK, event("SHUTDOWN", guest=False, reason="host-qmp-quit"), {"return": ""}], got)


class Peer:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        deadline = time.monotonic() + 10
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        self.file = self.socket.makefile("rw")

    def send(self, text):
        self.file.write(text)
        self.file.flush()

    def expect(self, what, *wanted):
        for w in wanted:
            check(what, w, json.loads(self.file.readline()))

    def close(self):
        self.file.close()
        self.socket.close()


@contextlib.contextmanager
def machine(program, *options):
    process = subprocess.Popen([program, *OPTIONS, *options])
    try:
        yield process
        process.wait(10)
    finally:
        process.kill()
        process.wait()


def several(program):
    """Two monitors on sockets: events reach both, a connection that ends in the middle of anything leaves the next one a
    fresh negotiation, and the sockets' short and long forms mean the same."""
    with tempfile.TemporaryDirectory() as folder:
        one, two = os.path.join(folder, "one"), os.path.join(folder, "two")
        with machine(program, "-qmp", f"unix:{one},server,nowait", "-chardev",
                     f"socket,id=S,path={two},server=on,wait=off", "-mon", "chardev=S,mode=control,pretty=off") as process:
            a, b = Peer(one), Peer(two)
            a.expect("one", GREETING)
            b.expect("two", GREETING)
            a.send(CAPS)
            a.expect("one", OK)
            b.send(CAPS + '{"execute": "stop"}')
            b.expect("two", OK, event("STOP"), OK)
            a.expect("one", event("STOP"))
            a.send('{"execute": "query-st')
            a.close()
            a = Peer(one)
            a.expect("one again", GREETING)
            a.send('{"execute": "cont"}')
            a.expect("one again", error(".*qmp_capabilities.*", "CommandNotFound"))
            b.send('{"execute": "cont"}')
            b.expect("two", event("RESUME"), OK)
            a.send(CAPS)
            a.expect("one again", OK)
            process.terminate()
            for peer in (a, b):
                peer.expect("the end", event("SHUTDOWN", guest=False, reason="host-signal"))
        if process.returncode != 128 + 15:
            fail(f"exit status {process.returncode} after SIGTERM")


def migrates(program):
    """A machine is written to a file, and what is asked meanwhile and afterwards is answered."""
    with tempfile.TemporaryDirectory() as folder:
        path, state = os.path.join(folder, "qmp"), os.path.join(folder, "state")
        with machine(program, "-S", "-qmp", f"unix:{path},server,nowait"):
            peer = Peer(path)
            peer.expect("migrate", GREETING)
            peer.send(CAPS + '{"execute": "migrate", "arguments": {"uri": "file:%s"}}' % state)
            peer.expect("migrate", OK, OK)
            deadline, status = time.monotonic() + 20, {}
            while status.get("status") != "completed" and time.monotonic() < deadline:
                peer.send('{"execute": "query-migrate"}')
                status = json.loads(peer.file.readline()).get("return", {})
            if status.get("status") != "completed" or status["ram"]["total"] < 64 << 20 or status["ram"]["remaining"]:
                fail(f"query-migrate: {status}")
            if not os.path.getsize(state):
                fail("an empty file")
            peer.send('{"execute": "quit"}')


def ended(peer):
    """What query-migrate says at a migration's end; events are passed over."""
    deadline, status = time.monotonic() + 20, {"status": "setup"}
    while status["status"] in ("setup", "active") and time.monotonic() < deadline:
        peer.send('{"execute": "query-migrate"}')
        answer = json.loads(peer.file.readline())
        while "event" in answer:
            answer = json.loads(peer.file.readline())
        status = answer["return"]
        time.sleep(0.01)
    return status


def arrives_when_told(program):
    """-incoming defer, migrate-incoming, and a sender that keeps to its bandwidth until it is let go."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: os.path.join(folder, name) for name in ("from", "to", "state")}
        with open(os.path.join(folder, "load"), "wb") as load:
            load.write(os.urandom(16 << 20))
        with machine(program, "-incoming", "defer", "-qmp", f"unix:{paths['to']},server,nowait"), \
                machine(program, "-device", f"loader,file={load.name},addr=0x44000000,force-raw=on", "-qmp",
                        f"unix:{paths['from']},server,nowait"):
            to, sender = Peer(paths["to"]), Peer(paths["from"])
            to.expect("defer", GREETING)
            to.send(CAPS + '{"execute": "query-status"}{"execute": "migrate-incoming", "arguments": {"uri": "unix:%s"}}'
                    '{"execute": "query-migrate"}{"execute": "migrate-incoming", "arguments": {"uri": "unix:x"}}' % paths["state"])
            to.expect("defer", OK, {"return": {"status": "inmigrate", "singlestep": False, "running": False}}, OK,
                      {"return": {"status": "active"}}, error("this machine does not wait for a saved state"))
            sender.expect("bandwidth", GREETING)
            sender.send(CAPS + '{"execute": "migrate-set-parameters", "arguments": {"max-bandwidth": 1048576}}'
                        '{"execute": "migrate", "arguments": {"uri": "unix:%s"}}' % paths["state"])
            sender.expect("bandwidth", OK, OK, OK)
            time.sleep(1)  # what it must not use for more than it may
            sender.send('{"execute": "query-migrate"}')
            status = json.loads(sender.file.readline())["return"]
            if status["status"] != "active" or not 1 << 16 < status["ram"]["transferred"] < 8 << 20 or \
                    not 0 < status["ram"]["mbps"] < 64:
                fail(f"at a limit of 1 MiB/s: {status}")
            sender.send('{"execute": "migrate-set-parameters", "arguments": {"max-bandwidth": 0}}')
            sender.expect("bandwidth", OK)
            status = ended(sender)
            if status["status"] != "completed" or not {"total-time", "setup-time", "downtime", "ram"} <= status.keys():
                fail(f"without a limit: {status}")
            if ended(to) != {"status": "completed"}:
                fail("the receiver does not say that all has come")
            to.send('{"execute": "query-status"}')
            while "event" in (answer := json.loads(to.file.readline())):
                pass
            if not answer["return"]["running"]:
                fail("the machine does not run where it has come to")
            for peer in (sender, to):
                peer.send('{"execute": "quit"}')


def waits_for_its_own(program):
    """A migration that QMP's human monitor began does not keep another monitor waiting."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as deaf:
        paths = {name: os.path.join(folder, name) for name in ("qmp", "hmp", "deaf")}
        deaf.bind(paths["deaf"])
        deaf.listen(1)
        with open(os.path.join(folder, "load"), "wb") as load:
            load.write(os.urandom(8 << 20))
        with machine(program, "-device", f"loader,file={load.name},addr=0x44000000,force-raw=on", "-qmp",
                     f"unix:{paths['qmp']},server,nowait", "-monitor", f"unix:{paths['hmp']},server,nowait"):
            peer = Peer(paths["qmp"])
            peer.expect("waits", GREETING)
            peer.send(CAPS + '{"execute": "human-monitor-command", "arguments": {"command-line": "migrate unix:%s"}}'
                      % paths["deaf"])
            peer.expect("waits", OK, {"return": ""})
            with socket.socket(socket.AF_UNIX) as human:
                human.settimeout(20)
                human.connect(paths["hmp"])
                human.send(b"info status\n")
                said = b""
                try:
                    while said.count(b"(qemu) ") < 2:
                        said += human.recv(4096)
                except TimeoutError:
                    fail(f"the monitor waits for a migration that is not its own: {said}")
            peer.send('{"execute": "quit"}')


def pretty(program):
    done = subprocess.run([program, *OPTIONS, "-qmp-pretty", "stdio"], input=CAPS + '{"execute": "quit"}',
                          capture_output=True, text=True, timeout=20)
    if '{\n    "QMP": {\n        "version": {\n' not in done.stdout or '"return": {}' not in done.stdout:
        fail(f"-qmp-pretty: {done.stdout}")


def main():
    for part in (at_once, keys, lists, stopped_at_start, several, migrates, arrives_when_told, waits_for_its_own,
                 pretty):
        part(sys.argv[1])
    print("QMP answers over standard input and sockets")


if __name__ == "__main__":
    main()
