// SPDX-License-Identifier: MIT
// Owns the reading of ELF64 executables (System V ABI, AAELF64): PT_LOAD segments go to their physical
// addresses. Invariant: a header's offsets and sizes are checked against the file before any byte behind them
// is touched.
#include "base/error.h"
#include "machines/loader.h"
#include "machines/loader_internal.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    uint16_t machine;
    const char *name;
} machines[] = {
    {EM_386, "32-bit x86"}, {EM_X86_64, "x86-64"}, {EM_ARM, "32-bit ARM"}, {EM_RISCV, "RISC-V"},
    {EM_PPC64, "POWER"},    {EM_S390, "s390"},     {EM_MIPS, "MIPS"},
};

static int check_header(const char *path, const uint8_t *data, uint64_t size, Elf64_Ehdr *ret_header,
                        struct error *err)
{
    if (size < EI_NIDENT + 4)
        return error_set(err, -EINVAL, "ELF file '%s' is truncated", path);
    unsigned machine = (unsigned)loader_get(data + EI_NIDENT + 2, 2);
    if (machine != EM_AARCH64) {
        const char *name = "another architecture";
        for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
            if (machines[i].machine == machine)
                name = machines[i].name;
        return error_set(err, -EINVAL, "ELF file '%s' is built for %s; this machine is ARM64", path, name);
    }
    if (data[EI_CLASS] != ELFCLASS64 || data[EI_DATA] != ELFDATA2LSB)
        return error_set(err, -EINVAL, "ELF file '%s' is not a 64-bit little-endian one", path);
    if (size < sizeof *ret_header)
        return error_set(err, -EINVAL, "ELF file '%s' is truncated", path);
    memcpy(ret_header, data, sizeof *ret_header);
    const Elf64_Ehdr *h = ret_header;
    if (h->e_phentsize != sizeof(Elf64_Phdr) || !h->e_phnum)
        return error_set(err, -EINVAL, "ELF file '%s' has no segments to load", path);
    if (h->e_phoff > size || (uint64_t)h->e_phnum * sizeof(Elf64_Phdr) > size - h->e_phoff)
        return error_set(err, -EINVAL, "ELF file '%s' is truncated", path);
    return 0;
}

static int add_segment(struct loader *loader, const char *path, unsigned index, const uint8_t *data,
                       uint64_t size, const Elf64_Phdr *p, struct error *err)
{
    if (p->p_offset > size || p->p_filesz > size - p->p_offset)
        return error_set(err, -EINVAL, "ELF file '%s' is truncated", path);
    if (p->p_filesz > p->p_memsz)
        return error_set(err, -EINVAL, "segment %u of ELF file '%s' is larger in the file than in memory",
                         index, path);
    uint8_t *copy = malloc(p->p_filesz + 1);
    if (!copy)
        return error_set(err, -ENOMEM, "out of memory");
    memcpy(copy, data + p->p_offset, p->p_filesz);
    char name[64];
    const char *base = strrchr(path, '/');
    snprintf(name, sizeof name, "%.40s segment %u", base ? base + 1 : path, index);
    return loader_add(loader, name, p->p_paddr, copy, p->p_filesz, p->p_memsz, err);
}

int loader_add_elf(struct loader *loader, const char *path, uint8_t *data, uint64_t size,
                   struct loader_entry *ret_entry, struct error *err)
{
    Elf64_Ehdr header;
    struct loader_entry entry = {.low = UINT64_MAX};
    int r = check_header(path, data, size, &header, err);
    uint64_t start = r ? 0 : header.e_entry;
    bool any = false;
    for (unsigned i = 0; !r && i < header.e_phnum; i++) {
        Elf64_Phdr p;
        memcpy(&p, data + header.e_phoff + i * sizeof p, sizeof p);
        if (p.p_type != PT_LOAD || !p.p_memsz)
            continue;
        r = add_segment(loader, path, i, data, size, &p, err);
        any = true;
        if (p.p_paddr < entry.low)
            entry.low = p.p_paddr;
        if (p.p_paddr + p.p_memsz > entry.high)
            entry.high = p.p_paddr + p.p_memsz;
        // The entry is a virtual address; the vCPU starts with the MMU off.
        if (header.e_entry >= p.p_vaddr && header.e_entry - p.p_vaddr < p.p_memsz)
            start = header.e_entry - p.p_vaddr + p.p_paddr;
    }
    free(data);
    if (!r && !any)
        r = error_set(err, -EINVAL, "ELF file '%s' has no segments to load", path);
    if (r)
        return r;
    entry.entry = start;
    *ret_entry = entry;
    return 0;
}
