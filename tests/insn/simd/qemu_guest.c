// SPDX-License-Identifier: MIT
// Runs under qemu-aarch64: reads struct simd_record from standard input, executes its code from its state by
// qemu_guest.S, and writes the record back. Built with the cross compiler; Linux on A64 only.
#include "tests/insn/simd/qemu_record.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void simd_execute(struct simd_record *record, const uint32_t *entry);
void simd_leave(void);

enum { LDR_X30_SP_8 = 0xf94007fe, B = 0x14000000, SLOTS = 4096, SLOT_WORDS = 64 };

static uint32_t slots[SLOTS][SLOT_WORDS] __attribute__((aligned(4096)));

// Every stream has a slot of its own until all are used: the emulator retranslates as seldom as can be.
static uint32_t *fill(const struct simd_record *record)
{
    static unsigned next;
    uint32_t *slot = slots[next++ % SLOTS];

    slot[0] = LDR_X30_SP_8;
    memcpy(slot + 1, record->code, 4 * record->count);
    const uint32_t *last = slot + 1 + record->count;
    slot[1 + record->count] = B | ((uint32_t)(((intptr_t)simd_leave - (intptr_t)last) / 4) & 0x3ffffff);
    __builtin___clear_cache((char *)slot, (char *)(slot + SLOT_WORDS));
    return slot;
}

static int transfer(int fd, char *at, size_t size, int writing)
{
    while (size) {
        ssize_t n = writing ? write(fd, at, size) : read(fd, at, size);
        if (n <= 0)
            return 0;
        at += n;
        size -= (size_t)n;
    }
    return 1;
}

int main(void)
{
    struct simd_record record;

    if (mprotect(slots, sizeof slots, PROT_READ | PROT_WRITE | PROT_EXEC))
        return 1;
    while (transfer(0, (char *)&record, sizeof record, 0)) {
        simd_execute(&record, fill(&record));
        if (!transfer(1, (char *)&record, sizeof record, 1))
            return 1;
    }
    return 0;
}
