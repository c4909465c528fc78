#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots Debian's kernel with a network card: net_boot.py EMULATOR user|pair|tap [OPTIONS...].

user: the guest gets its address by DHCP from the user-mode network, fetches from HTTP servers on the host (IPv4 and IPv6)
and by TFTP, sends to the host, talks to a command and a character device (guestfwd), serves HTTP to a client on the host
through a forwarded port, and is sent data through another; the monitor's commands add and remove a forwarding.
pair: two machines on one wire ping each other and send each other data.
tap: the host's own TCP/IP is at the other end, which takes privilege.
What arrives has the checksum of what was sent. Exit 77 where there is no guest or no tap device."""
import hashlib
import http.server
import os
import re
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from isotools import guest  # noqa: E402

MODULES = ["virtio_mmio", "virtio_pci", "virtio_net"]
SIZE = 3 << 20
PATIENCE = 100 * float(os.environ.get("ISOMER_PATIENCE", "1"))
USER = """cat > /tmp/dhcp <<'END'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add $ip/$mask dev $interface
ip route add default via $router
echo "@address $ip $router $dns"
END
chmod +x /tmp/dhcp
ip link set lo up
ip link set eth0 up
echo "@mac $(cat /sys/class/net/eth0/address)"
udhcpc -f -n -q -i eth0 -s /tmp/dhcp 2>/tmp/dhcp.log || cat /tmp/dhcp.log
wget -q -O - http://10.0.2.2:{http}/blob | md5sum | sed 's/^/@down /'
mkdir /srv
dd if=/dev/urandom of=/srv/file bs=1M count=3 2>/dev/null
md5sum < /srv/file | sed 's/^/@file /'
nc 10.0.2.2 {up} < /srv/file
httpd -p 80 -h /srv
echo "@ready http"
nc -l -p 81 | md5sum | sed 's/^/@in /'
echo "echoed by the host" | timeout 5 nc 10.0.2.100 7 | sed 's/^/@cmd /'
echo "by a character device" | timeout 1 nc 10.0.2.101 8
tftp -g -r served -l /tmp/served 10.0.2.2 && md5sum < /tmp/served | sed 's/^/@tftp /'
n=0; while ! ip -6 addr show dev eth0 | grep -q 'fec0:.*global' && [ $n -lt 50 ]; do n=$((n+1)); sleep 0.1; done
wget -q -O - 'http://[fec0::2]:{http6}/blob' | md5sum | sed 's/^/@down6 /'
syslogd -R 10.0.2.2:{udp}
logger "a datagram"
ping -c 2 -w 10 10.0.2.2 >/dev/null 2>&1 && echo "@ping ok"
echo "@errors $(dmesg | grep -cE 'BUG:|WARNING:|Call trace|virtio.*(error|broken)')"
"""
PAIR = """ip link set lo up
ip link set eth0 up
ip addr add 10.1.1.{me}/24 dev eth0
n=0; while ! ping -c 1 -w 1 10.1.1.{other} >/dev/null 2>&1 && [ $n -lt 60 ]; do n=$((n+1)); done
ping -c 3 -w 20 10.1.1.{other} | sed -n 's/^\\(.*\\) packets transmitted, \\(.*\\) packets received.*/@ping \\1 \\2/p'
dd if=/dev/urandom of=/tmp/file bs=1M count=3 2>/dev/null
md5sum < /tmp/file | sed 's/^/@sent /'
httpd -p 80 -h /tmp
n=0; while ! wget -q -O /tmp/got http://10.1.1.{other}/file && [ $n -lt 60 ]; do n=$((n+1)); sleep 0.2; done
md5sum < /tmp/got | sed 's/^/@got /'
touch /tmp/done
n=0; while ! wget -q -O /dev/null http://10.1.1.{other}/done && [ $n -lt 60 ]; do n=$((n+1)); sleep 0.2; done
echo "@errors $(dmesg | grep -cE 'BUG:|WARNING:|Call trace')"
sleep 1
"""


TAP = """ip link set lo up
ip link set eth0 up
ip addr add 10.77.77.2/24 dev eth0
n=0; while ! ping -c 1 -w 1 10.77.77.1 >/dev/null 2>&1 && [ $n -lt 60 ]; do n=$((n+1)); done
wget -q -O - http://10.77.77.1:{http}/blob | md5sum | sed 's/^/@down /'
dd if=/dev/urandom of=/tmp/file bs=1M count=3 2>/dev/null
md5sum < /tmp/file | sed 's/^/@file /'
nc 10.77.77.1 {up} < /tmp/file
echo "@errors $(dmesg | grep -cE 'BUG:|WARNING:|Call trace')"
"""


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.blob)))
        self.end_headers()
        self.wfile.write(self.server.blob)

    def log_message(self, *args):
        pass


class Server6(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


class Sink(socketserver.StreamRequestHandler):
    """Keeps the checksum of what one client sends, and closes when it has."""
    def handle(self):
        self.server.got = hashlib.md5(self.rfile.read()).hexdigest()


class Guest:
    """A machine that runs a script; what it says on lines that begin with @ is collected as it comes."""
    def __init__(self, emulator, folder, name, script, options):
        files = guest.ensure()
        initrd = os.path.join(folder, name + ".initrd")
        guest.make_initrd(initrd, files, run=script, modules=MODULES)
        self.said, self.text = {}, ""
        self.process = subprocess.Popen(
            [emulator, "-M", "virt", "-cpu", "cortex-a72", "-m", "256", "-nographic", "-kernel", files.kernel,
             "-initrd", initrd, "-append", "console=ttyAMA0 quiet", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.news = threading.Condition()
        self.ended = False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            line = line.decode("utf-8", "replace").strip()
            with self.news:
                self.text += line + "\n"
                match = re.match(r"@(\w+) (.*)", line)
                if match:
                    self.said[match.group(1)] = match.group(2).replace("  -", "").strip()
                self.news.notify_all()
        with self.news:
            self.ended = True
            self.news.notify_all()

    def wait_for(self, word, seconds):
        """Whether the guest said it in time."""
        with self.news:
            return self.news.wait_for(lambda: word in self.said or self.ended, seconds) and word in self.said

    def end(self):
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            return "none: it runs on"
        finally:
            self.process.kill()
            self.process.wait()


def free_ports(count, kind=socket.SOCK_STREAM):
    held = [socket.socket(socket.AF_INET, kind) for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def judge(machine, wanted):
    status = machine.end()
    faults = [f"{k}: wanted '{v}', got '{machine.said.get(k)}'" for k, v in wanted.items() if machine.said.get(k) != v]
    if status:
        faults.append(f"exit status {status}")
    if faults:
        print(machine.text[-3000:])
    return faults


def monitor(port, *commands):
    """What the monitor answers to each command."""
    answers = []
    with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
        stream = link.makefile("rwb", buffering=0)

        def until_prompt():
            text = b""
            while not text.endswith(b"(qemu) "):
                byte = stream.read(1)
                if not byte:
                    break
                text += byte
            return text.decode()
        until_prompt()
        for command in commands:
            stream.write(command.encode() + b"\n")
            answers.append(until_prompt().split("\n", 1)[1].replace("(qemu) ", "").replace("\r", "").strip())
    return answers


def user(emulator, options, folder):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.blob = os.urandom(SIZE)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server6 = Server6(("::1", 0), Server)
    server6.blob = server.blob
    threading.Thread(target=server6.serve_forever, daemon=True).start()
    up = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Sink)
    up.got = None
    threading.Thread(target=up.serve_forever, daemon=True).start()
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(("127.0.0.1", 0))
    web, raw, added, hmp = free_ports(4)
    script = USER
    for name, end in (("{http}", server.server_address), ("{http6}", server6.server_address), ("{up}", up.server_address),
                      ("{udp}", sink.getsockname())):
        script = script.replace(name, str(end[1]))
    with open(os.path.join(folder, "served"), "wb") as stream:
        stream.write(server.blob[:100000])
    out = os.path.join(folder, "out")
    machine = Guest(emulator, folder, "user", script, [
        "-chardev", f"file,id=out,path={out}", "-netdev",
        f"user,id=net0,hostfwd=tcp:127.0.0.1:{web}-:80,hostfwd=tcp:127.0.0.1:{raw}-10.0.2.15:81,tftp={folder},"
        "guestfwd=tcp:10.0.2.100:7-cmd:cat,guestfwd=tcp:10.0.2.101:8-chardev:out", "-device",
        "virtio-net-pci,netdev=net0,mac=52:54:00:ab:cd:ef", "-monitor", f"tcp:127.0.0.1:{hmp},server=on,wait=off",
        *options])
    faults, served, sent = [], None, hashlib.md5(server.blob[::-1]).hexdigest()
    try:
        if machine.wait_for("ready", PATIENCE):
            with urllib.request.urlopen(f"http://127.0.0.1:{web}/file", timeout=30) as answer:
                served = hashlib.md5(answer.read()).hexdigest()
            said = monitor(hmp, f"hostfwd_add tcp:127.0.0.1:{added}-:80", "info network",
                           f"hostfwd_remove net0 tcp:127.0.0.1:{web}", f"hostfwd_remove tcp:127.0.0.1:{web}")
            with urllib.request.urlopen(f"http://127.0.0.1:{added}/file", timeout=30) as answer:
                if hashlib.md5(answer.read()).hexdigest() != served:
                    faults.append("the added forwarding serves something else")
            if said[0] or said[2] or "type=user,net=10.0.2.0" not in said[1] or "nothing is forwarded" not in said[3]:
                faults.append(f"the monitor said {said}")
            with socket.create_connection(("127.0.0.1", raw), timeout=30) as link:
                link.sendall(server.blob[::-1])
    except OSError as err:
        faults.append(f"the client on the host: {err}")
    faults += judge(machine, {"mac": "52:54:00:ab:cd:ef", "address": "10.0.2.15 10.0.2.2 10.0.2.3",
                              "down": hashlib.md5(server.blob).hexdigest(), "file": served, "in": sent,
                              "cmd": "echoed by the host", "down6": hashlib.md5(server.blob).hexdigest(),
                              "tftp": hashlib.md5(server.blob[:100000]).hexdigest(), "ping": "ok", "errors": "0"})
    if not up.got or up.got != machine.said.get("file"):
        faults.append(f"the host got {up.got} of the guest's file")
    with open(out, encoding="utf-8") as stream:
        if stream.read() != "by a character device\n":
            faults.append("the character device got something else")
    sink.settimeout(1)
    try:
        while b"a datagram" not in sink.recv(65536):
            pass
    except TimeoutError:
        faults.append("no datagram came")
    for one in (server, server6, up):
        one.shutdown()
    return faults


def pair(emulator, options, folder):
    path = os.path.join(folder, "wire")
    ends = [f"stream,id=n,server={server},addr.type=unix,addr.path={path}" for server in ("on", "off")]
    machines = []
    for me, (end, model) in enumerate(zip(ends, ("virtio", "virtio-net-device")), 1):
        script = PAIR.replace("{me}", str(me)).replace("{other}", str(3 - me))
        machines.append(Guest(emulator, folder, f"pair{me}", script,
                              ["-netdev", end, "-net", f"nic,model={model},macaddr=52:54:00:00:00:0{me},netdev=n", *options]))
        deadline = time.monotonic() + 20
        while not os.path.exists(path) and time.monotonic() < deadline:
            time.sleep(0.05)
    for machine in machines:
        machine.wait_for("errors", PATIENCE)
    one, two = machines
    return [fault for mine, other in ((one, two), (two, one))
            for fault in judge(mine, {"ping": "3 3", "got": other.said.get("sent"), "errors": "0"})]


def tap(emulator, options, folder):
    name = f"isotap{os.getpid() % 1000000}"
    script, faults = TAP, []
    try:
        subprocess.run(["ip", "tuntap", "add", name, "mode", "tap", "vnet_hdr"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as err:
        print(f"skip: no tap device: {err}")
        sys.exit(77)
    try:
        for words in (["addr", "add", "10.77.77.1/24", "dev", name], ["link", "set", name, "up"]):
            subprocess.run(["ip", *words], check=True)
        server = http.server.ThreadingHTTPServer(("10.77.77.1", 0), Server)
        server.blob = os.urandom(SIZE)
        up = socketserver.ThreadingTCPServer(("10.77.77.1", 0), Sink)
        up.got = None
        for one, mark in ((server, "{http}"), (up, "{up}")):
            threading.Thread(target=one.serve_forever, daemon=True).start()
            script = script.replace(mark, str(one.server_address[1]))
        machine = Guest(emulator, folder, "tap", script, ["-nic", f"tap,ifname={name},script=no,downscript=no", *options])
        faults = judge(machine, {"down": hashlib.md5(server.blob).hexdigest(), "errors": "0"})
        if not up.got or up.got != machine.said.get("file"):
            faults.append(f"the host got {up.got} of the guest's file")
        server.shutdown()
        up.shutdown()
    finally:
        subprocess.run(["ip", "link", "del", name], check=False)
    return faults


def main():
    guest.for_test()
    with tempfile.TemporaryDirectory() as folder:
        faults = {"user": user, "pair": pair, "tap": tap}[sys.argv[2]](sys.argv[1], sys.argv[3:], folder)
    print("\n".join(faults) or "all that was sent has arrived")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
