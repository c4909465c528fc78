#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots Debian's kernel with shared host folders and works in them over 9P: what the guest writes is on the host, what
the host has the guest reads, and nothing leads out of the folder. Of the queues one is a split ring, the others are
packed. share_boot.py EMULATOR [OPTIONS...]. Exit 77 where there is no guest."""
import hashlib
import os
import stat
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from isotools import guest  # noqa: E402

MODULES = ["virtio_mmio", "virtio_pci", "9pnet_virtio", "9p"]
FILES = 300
SCRIPT = """mkdir -p /none /map /ro
mount -t 9p -o trans=virtio,version=9p2000.L,msize=131072 plain /none || echo "@mount none failed"
mount -t 9p -o trans=virtio,version=9p2000.L,cache=loose mapped /map || echo "@mount mapped failed"
mount -t 9p -o trans=virtio,version=9p2000.L,ro readable /ro || echo "@mount ro failed"
cd /none
echo "@host $(md5sum < big)"
dd if=/dev/urandom of=made bs=100k count=30 2>/dev/null
echo "@made $(md5sum < made)"
mkdir many; i=0
while [ $i -lt %d ]; do echo $i > many/file$i; i=$((i+1)); done
echo "@count $(ls many | wc -l) $(cat many/* | md5sum)"
mkdir -p tree/a/b; echo deep > tree/a/b/c; mv tree/a tree/z; echo "@renamed $(cat tree/z/b/c)"
echo old > one; echo new > two; mv two one; echo "@over $(cat one) $(ls | grep -c two)"
ln one three; echo "@links $(stat -c %%h one)"
rm -r tree/z; rmdir tree; echo "@gone $(ls -d tree 2>/dev/null)"
exec 3> held; echo kept >&3; rm held; echo more >&3; exec 3>&-; echo "@held $(ls held 2>/dev/null)"
chmod 640 one; touch -d @1000000000 one; echo "@attr $(stat -c '%%a %%Y' one)"
truncate -s 5000 one; echo "@size $(stat -c %%s one)"
echo appended >> three; echo "@append $(tail -c 9 one)"
ln -s /etc/passwd away; echo "@away $(readlink away) $(cat away 2>/dev/null | wc -c)"
ln -s ../../../../../../../../../../../../SECRET up; echo "@up $(cat up 2>/dev/null)"
echo "@planted $(cat planted/secret 2>/dev/null) $(cat planted-file 2>/dev/null)"
mknod dev c 1 3 2>/dev/null && echo "@dev made" || echo "@dev refused"
cd /map
echo text > owned; chown 12:34 owned; chmod 4711 owned; echo "@owned $(stat -c '%%u %%g %%a' owned)"
ln -s owned link; echo "@link $(readlink link) $(cat link)"
mknod null c 1 3; mkfifo pipe; echo "@special $(stat -c '%%t,%%T %%F' null) $(stat -c '%%F' pipe)"
mkdir folder; chown 5:6 folder; echo "@folder $(stat -c '%%u %%g %%F' folder)"
echo x > /ro/x 2>/dev/null && echo "@ro written" || echo "@ro $(cat /ro/big | md5sum)"
echo "@packed $(cut -c35 /sys/bus/virtio/devices/*/features | sort | tr -d "\n")"
cd /; umount /none /map /ro; echo "@umount $?"
echo "@errors $(dmesg | grep -cE '9p.*rror|BUG:|WARNING:')"
""" % FILES


def md5(data):
    return hashlib.md5(data).hexdigest()


def read(*path):
    with open(os.path.join(*path), "rb") as stream:
        return stream.read()


def mapped(path, name, form):
    return struct.unpack(form, os.getxattr(path, "user.virtfs." + name, follow_symlinks=False))[0]


def check_host(plain, attributes):
    """What the host has afterwards: {fact: (wanted, got)}."""
    facts = {
        "mode of one": (0o640, stat.S_IMODE(os.stat(os.path.join(plain, "one")).st_mode)),
        "files": (FILES, len(os.listdir(os.path.join(plain, "many")))),
        "link's text": ("/etc/passwd", os.readlink(os.path.join(plain, "away"))),
        "no device": (False, os.path.lexists(os.path.join(plain, "dev"))),
    }
    if attributes is None:
        return facts
    owned, link, null = (os.path.join(attributes, n) for n in ("owned", "link", "null"))
    for path, mode in ((owned, stat.S_IFREG | 0o4711), (link, stat.S_IFLNK | 0o777), (null, stat.S_IFCHR | 0o644)):
        name = os.path.basename(path)
        facts[name + " is plain"] = (stat.S_IFREG | 0o600, os.lstat(path).st_mode)
        facts[name + "'s mode"] = (mode, mapped(path, "mode", "<I"))
    facts["owned's owner"] = ((12, 34), (mapped(owned, "uid", "<I"), mapped(owned, "gid", "<I")))
    facts["link's content"] = (b"owned", read(link))
    facts["null's number"] = (os.makedev(1, 3), mapped(null, "rdev", "<Q"))
    return facts


def boot(emulator, options, folder):
    plain, attributes, secret = (os.path.join(folder, n) for n in ("plain", "mapped", "secret"))
    for path in (plain, attributes, secret):
        os.mkdir(path)
    big = os.urandom(3 << 20)
    for path, data in ((os.path.join(plain, "big"), big), (os.path.join(secret, "secret"), b"SECRET")):
        with open(path, "wb") as stream:
            stream.write(data)
    os.symlink(secret, os.path.join(plain, "planted"))
    os.symlink(os.path.join(secret, "secret"), os.path.join(plain, "planted-file"))
    try:
        os.setxattr(attributes, "user.test", b"")
        os.removexattr(attributes, "user.test")
        model = "mapped-xattr"
    except OSError:
        print("note: no extended attributes here, so nothing mapped is tried")
        model = None
    initrd = os.path.join(folder, "initrd")
    files = guest.for_test("generic")
    guest.make_initrd(initrd, files, SCRIPT, modules=MODULES)
    done = subprocess.run(
        [emulator, "-M", "virt", "-cpu", "cortex-a72", "-m", "512", "-nographic", "-kernel", files.kernel, "-initrd",
         initrd, "-append", "console=ttyAMA0 quiet", "-fsdev", f"local,id=fs0,path={plain},security_model=none",
         "-device", "virtio-9p-device,fsdev=fs0,mount_tag=plain,packed=off", "-virtfs",
         f"local,path={attributes},mount_tag=mapped,security_model={model or 'none'}", "-virtfs",
         f"local,path={plain},mount_tag=readable,security_model=none,readonly=on,multidevs=remap,id=again", *options],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=200)
    said = dict(line[1:].strip().partition(" ")[::2] for line in done.stdout.splitlines() if line.startswith("@"))
    numbers = "".join(f"{i}\n" for i in sorted(range(FILES), key=lambda i: f"file{i}")).encode()
    wanted = {
        "host": md5(big) + "  -", "made": md5(read(plain, "made")) + "  -", "count": f"{FILES} {md5(numbers)}  -",
        "renamed": "deep", "over": "new 0", "links": "2", "gone": "", "held": "", "attr": "640 1000000000",
        "size": "5000", "append": "appended", "away": "/etc/passwd 0", "up": "", "planted": "", "dev": "refused",
        "ro": md5(big) + "  -", "packed": "0011", "umount": "0", "errors": "0"}
    if model:
        wanted |= {"owned": "12 34 4711", "link": "owned text", "special": "1,3 character special file fifo",
                   "folder": "5 6 directory"}
    faults = [f"{k}: wanted '{v}', got '{said.get(k)}'" for k, v in wanted.items() if said.get(k) != v]
    if done.returncode:
        faults.append(f"exit status {done.returncode}")
    if not faults:
        faults = [f"{k}: wanted {w}, got {g}" for k, (w, g) in check_host(plain, model and attributes).items() if w != g]
    if faults:
        print(done.stdout[-3000:], done.stderr)
    return faults


def main():
    guest.expect_sandbox(sys.argv[2:])
    with tempfile.TemporaryDirectory() as folder:
        faults = boot(sys.argv[1], sys.argv[2:], folder)
    print("\n".join(faults) or "the guest and the host found in the folders what they should")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
