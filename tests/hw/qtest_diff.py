#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Random register traffic on our devices and on QEMU's, side by side (QEMU's qtest protocol, vCPUs stopped).

usage: qtest_diff.py PEER SCENARIO [SEED [STEPS]]; exit status 77 (skipped) without qemu-system-aarch64.
Left out is what the manuals leave open or where QEMU departs from them: 8 bits of priority, GICC_HPPIR
filtered by the priority mask, coarse binary points (it preempts by whole priorities), ISACTIVER of an SPI
setting it for each CPU apart, 1022 from GICC_IAR for an interrupt that may not preempt, one group enabled,
PL061 lines that keep their value when they become inputs.
"""
import random
import shutil
import subprocess
import sys

DIST, GICC, REDIST, ITS = 0x08000000, 0x08010000, 0x080A0000, 0x08080000
UART, RTC, GPIO = 0x09000000, 0x09010000, 0x09030000
PRIORITIES = [0x00, 0x40, 0x80, 0x88, 0xa0, 0xc0, 0xf8]
ALL_EDGE = 0xaaaaaaaa


class Pair:
    def __init__(self, peer, gic):
        self.log = []
        smp = 4 if 'its' in gic else 1
        self.qemu = self.start(f'qemu-system-aarch64 -M virt,gic-version={gic} -smp {smp} -cpu cortex-a57 '
                               '-accel tcg -S -qtest stdio -qtest-log /dev/null -display none '
                               '-nodefaults'.split())
        self.ours = self.start([peer, gic])

    @staticmethod
    def start(args):
        return subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, text=True, bufsize=1)

    def ask(self, qemu, ours):
        self.qemu.stdin.write(qemu + '\n')
        self.ours.stdin.write(ours + '\n')
        answer = self.qemu.stdout.readline()
        while answer and not answer.startswith(('OK', 'FAIL')):
            answer = self.qemu.stdout.readline()
        mine = self.ours.stdout.readline()
        if not answer.startswith('OK') or not mine:
            sys.exit(f'no answer to {ours}: {answer!r} {mine!r}')
        return (answer.split() + ['0'])[1], mine

    def write(self, addr, value, size=4):
        self.log.append(f'write {addr:x} {size} {value:x}')
        self.ask(f'write{"bwlq"[size.bit_length() - 1]} {addr:#x} {value:#x}', f'w {addr:x} {size} {value:x}')

    def read(self, addr, size=4, also=None, mask=~0):
        theirs, mine = self.ask(f'read{"bwlq"[size.bit_length() - 1]} {addr:#x}', f'r {addr:x} {size}')
        theirs, mine = int(theirs, 16), int(mine, 16)
        self.log.append(f'read {addr:x} {size}: QEMU {theirs:x}, ours {mine:x}')
        if (theirs ^ mine) & mask and {theirs, mine} != also:
            print('\n'.join(self.log[-40:]))
            sys.exit(1)
        return mine

    def line(self, spi, level):
        self.log.append(f'SPI {spi} {level}')
        self.ask(f'set_irq_in /machine/unattached/device[1] unnamed-gpio-in {spi} {level}',
                 f'i {spi} {level}')


def read_spi(p, spi):
    for reg in (0x100, 0x180, 0x200, 0x280, 0x300, 0x380):
        p.read(DIST + reg + spi // 32 * 4)
    p.read(DIST + 0x400 + spi // 4 * 4)
    p.read(DIST + 0xc00 + spi // 16 * 4)


def spi_registers(p, spi, reg):
    """One of the registers every GIC has for SPIs; reg 0..8."""
    word, bit = DIST + spi // 32 * 4, 1 << spi % 32
    [lambda: p.write(word + 0x100, bit),
     lambda: random.random() < 0.3 and p.write(word + 0x180, bit),
     lambda: p.write(word + 0x200, bit),
     lambda: p.write(word + 0x280, bit),
     lambda: p.write(word + 0x380, bit),
     lambda: p.write(DIST + 0x400 + spi, random.choice(PRIORITIES), 1),
     lambda: random.random() < 0.2 and p.write(DIST + 0xc00 + spi // 16 * 4,
                                              random.choice([0, 0x2a, ALL_EDGE])),
     lambda: p.line(spi - 32, random.randrange(2)),
     lambda: read_spi(p, spi)][reg]()


def gicv2(p, steps):
    acked = []
    for addr, value in ((DIST, 3), (GICC, 3), (GICC + 4, 0xf8), (GICC + 8, 2), (GICC + 0x1c, 3)):
        p.write(addr, value)
    for _ in range(steps):
        kind, sgi = random.randrange(20), random.choice([0, 1, 5])
        spi = random.choice([32, 33, 34, 35, 40, 63, 64, 287])
        if kind < 9:
            spi_registers(p, spi, kind)
        elif kind == 9:
            p.write(DIST + 0xf00, random.choice([0x10000, 0x1000000, 0x2000000, 0x30000]) | sgi)
        elif kind == 10:
            p.write(GICC + 4, random.choice([0xf8, 0xf0, 0xa0, 0x88]))
        elif kind == 12 and not acked:
            p.write(GICC, random.choice([3, 7, 0xb, 0x17]))
        elif kind == 13 and not acked:
            p.write(DIST + 0x80 + spi // 32 * 4, random.choice([0, 0xffffffff, 1 << spi % 32]))
        elif kind == 14:
            p.write(DIST + 0x400 + sgi, random.choice(PRIORITIES), 1)
        elif kind == 15 and acked:
            p.write(GICC + 0x10, acked.pop())
        elif kind == 16:
            for reg in (0x200, 0x300, 0xf20, 0x400, 0x800, 0x820):
                p.read(DIST + reg)
        elif kind == 17:
            p.read(GICC + 0x14)
        else:
            acked += [got for got in [p.read(GICC + 0xc, also={1022, 1023})] if got & 0x3ff < 1020]


def gicv3(p, steps):
    sgi_base = REDIST + 0x10000
    p.write(DIST, 3)
    for addr in (DIST, REDIST + 0x14, sgi_base + 0xc00, DIST + 0xffe8, REDIST + 0xffe8):
        p.read(addr)
    for _ in range(steps):
        kind, bit = random.randrange(16), 1 << random.randrange(32)
        spi = random.choice([32, 33, 34, 35, 40, 63, 64, 287])
        if kind < 9:
            spi_registers(p, spi, kind)
        elif kind == 9:
            value = random.choice([0, 1, 0x80000000, 0x1f_00ff_ff7f, 0x100])
            p.write(DIST + 0x6000 + 8 * spi, value, 8)
            p.read(DIST + 0x6000 + 8 * spi, 8)
        elif kind == 10:
            p.write(DIST + 0x304 + (spi // 32 - 1) * 4, 1 << spi % 32)
        elif kind == 11:
            p.write(sgi_base + random.choice([0x80, 0x100, 0x180, 0x200, 0x280, 0x300, 0x380]), bit)
        elif kind == 12:
            p.write(sgi_base + 0x400 + random.randrange(32), random.choice(PRIORITIES), 1)
        elif kind == 13:
            p.write(sgi_base + 0xc04, random.choice([0, 0xaaaaaaaa, 0x2200]))
        elif kind == 14:
            p.write(REDIST + 0x14, random.choice([0, 2, 0xffffffff]))
            p.read(REDIST + 0x14)
        else:
            for reg in (0x80, 0x100, 0x180, 0x200, 0x280, 0x300, 0x380, 0x400, 0x404, 0x41c, 0xc00, 0xc04):
                p.read(sgi_base + reg)


QUEUE, DEVICES, COLLECTIONS, PROPERTIES, PENDING, ITTS = 0x10000, 0x20000, 0x40000, 0x60000, 0x80000, 0x100000
ITS_DEVICES = [0, 1, 2, 3, 600, 0x10000, 0xffffffff]
VALID, INDIRECT = 1 << 63, 1 << 62


def its_start(p, ram):
    """Tables and queue; pages of 4 or 64 KiB, one level or two of them."""
    idbits = random.choice([13, 15, 31])
    for cpu in range(4):
        frame = REDIST + cpu * 0x20000
        p.write(frame + 0x70, ram + PROPERTIES | idbits, 8)
        p.write(frame + 0x78, ram + PENDING + cpu * 0x10000 | 1 << 62 | 0x780, 8)
        p.write(frame, cpu != 3)
        p.read(frame + 0x78, 8, mask=~(1 << 62))  # PTZ is write-only
    for reg, where in ((0x100, ram + DEVICES), (0x108, ram + COLLECTIONS)):
        size, two = random.choice([0, 0x200]), random.choice([0, INDIRECT])
        p.write(ITS + reg, VALID | two | size | where, 8)
        if two:
            p.write(where, VALID | (where + 0x10000), 8)
    p.write(ITS + 0x80, VALID | ram + QUEUE, 8)
    p.write(ITS + 0x88, 0, 8)
    p.write(ITS, 1)


def its_command(p, ram, words):
    at = p.read(ITS + 0x88, 8)
    for i, word in enumerate(words):
        p.write(ram + QUEUE + at + 8 * i, word, 8)
    p.write(ITS + 0x88, (at + 32) % 4096, 8)
    p.read(ITS + 0x90, 8)


def its_some_command(ram):
    device = random.choice([0, 0, 0, 1, 1, 2, 3] + ITS_DEVICES)
    event = random.choice([0, 1, 2, 3] * 6 + [4, 7, 8, 31, 32, 100, 0xffff, 0x10000, 0xffffffff])
    id = random.choice([8192, 8193, 8194, 8195, 8200, 8255, 0x4000, 0xffff] * 3 + [0, 8191, 0x10000])
    collection = random.choice([0, 1, 2, 3] * 4 + [500, 0xffff])
    cpu, valid = random.choice([0, 1, 2] * 4 + [3, 4, 0x1000]), random.choice([VALID] * 19 + [0])
    kind = random.choice([1, 1] + [3] * 6 + [4, 5, 8, 9, 0xa, 0xa, 0xa, 0xb, 0xc, 0xd, 0xe, 0xf])
    if kind == 8:
        return [device << 32 | 8, random.choice([0, 1, 2, 4, 4, 4, 6, 16, 31]),
                valid | ram + ITTS + ITS_DEVICES.index(device) * 0x1000, 0]
    if kind in (9, 0xd):
        return [kind, 0, valid | cpu << 16 | collection, 0]
    if kind == 0xe:
        return [kind, 0, cpu << 16, random.choice([0, 1, 2, 3, 4]) << 16]
    return [device << 32 | kind, event | (id << 32 if kind == 0xa else 0), collection, 0]


def its(p, steps):
    """Entries of tables have each ITS's own format, so every round has fresh memory, and no two tables overlap."""
    for addr in (DIST + 0xffe8, ITS + 4, ITS + 0xffe0, ITS + 0xffe8, ITS + 0x110):
        p.read(addr)
    p.read(DIST + 4, mask=0xfa0000)      # LPIS and IDbits; QEMU has no 1 of N
    p.read(REDIST + 0x20008, 8, mask=~0x3000000)  # CommonLPIAff
    p.read(ITS + 8, 8, mask=~0xf0)       # the size of an ITT's entry is the ITS's own
    p.read(ITS + 0x100, 8)
    p.read(ITS + 0x108, 8)
    p.read(ITS)
    for ram in range(0x40000000, 0x40000000 + steps // 400 * 0x200000, 0x200000):
        its_start(p, ram)
        for n in range(4):
            its_command(p, ram, [9, 0, VALID | n << 16 | n, 0])
            its_command(p, ram, [n << 32 | 8, 4, VALID | ram + ITTS + n * 0x1000, 0])
            its_command(p, ram, [n << 32 | 0xa, n | 8192 + n << 32, n, 0])
        for _ in range(60):
            if random.random() < 0.2:
                p.write(ITS + 0x10040, random.choice([0, 1, 2, 3, 4, 31, 32, 0xffff]))
            else:
                its_command(p, ram, its_some_command(ram))
            for cpu in range(4):
                for word in (8191, 8192, 0x4000, 0xffff):
                    p.read(ram + PENDING + cpu * 0x10000 + word // 64 * 8, 8)
            if random.random() < 0.02:
                frame = REDIST + random.randrange(4) * 0x20000
                p.write(frame, random.randrange(2))
        p.write(ITS, 0)
        for cpu in range(4):
            p.write(REDIST + cpu * 0x20000, 0)


def pl061(p, steps):
    p.write(GPIO + 0x400, random.randrange(256))
    for _ in range(steps):
        data = random.randrange(256) * 4
        if random.randrange(2):
            p.write(GPIO + random.choice([data, 0x3fc, 0x404, 0x408, 0x40c, 0x410, 0x41c]),
                    random.randrange(256))
        else:
            p.read(GPIO + random.choice([data, 0x3fc, 0x400, 0x404, 0x408, 0x40c, 0x410, 0x420, 0xfe0,
                                         0xfe4, 0xff0]))


def pl031(p, steps):
    p.write(RTC + 0x10, 0)
    for _ in range(steps):
        if random.randrange(2):
            p.write(RTC + random.choice([0x4, 0x8, 0x10, 0x1c]), random.choice([1, 0, 77, 78, 0x80000000]))
        else:
            p.read(RTC + random.choice([0x4, 0x8, 0xc, 0x10, 0x18, 0xfe0, 0xfe8, 0xffc]))


def pl011(p, steps):
    p.write(UART + 0x30, 0x301)
    for _ in range(steps):
        if random.randrange(2):
            p.write(UART + random.choice([0x00, 0x24, 0x28, 0x34, 0x38, 0x44]), random.randrange(64))
        else:
            p.read(UART + random.choice([0x24, 0x28, 0x34, 0x38, 0x3c, 0x40, 0xfe0, 0xfe4, 0xfe8, 0xff0]))


def main():
    if not shutil.which('qemu-system-aarch64'):
        sys.exit(77)
    scenario = sys.argv[2]
    random.seed(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    pair = Pair(sys.argv[1], {'gicv3': '3', 'its': '3,its=on'}.get(scenario, '2'))
    globals()[scenario](pair, int(sys.argv[4]) if len(sys.argv) > 4 else 4000)
    pair.qemu.kill()
    print(f'{len(pair.log)} accesses agree')


main()
