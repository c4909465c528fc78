// SPDX-License-Identifier: MIT
// Owns virt's flash: two banks at the start of memory, which are there when something is to be in them, and what
// is put into them: -bios into the first, drives of if=pflash or named by -machine pflash0=, pflash1= into either.
#include "hw/block/cfi_flash.h"
#include "host/block.h"
#include "machines/virt_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BANKS = 2, SECTOR = 256 << 10 };

// Where Debian's packages put firmware for this board.
static const char *const firmware_folders[] = {"/usr/share/AAVMF", "/usr/share/qemu-efi-aarch64",
                                               "/usr/lib/u-boot/qemu_arm64", "/usr/share/u-boot/qemu_arm64",
                                               "/usr/share/qemu"};

// A name without a folder that is no file here is looked for in those.
static const char *find_firmware(const char *name, char *buf, size_t size)
{
    if (strchr(name, '/') || !access(name, R_OK))
        return name;
    for (size_t i = 0; i < ARRAY_SIZE(firmware_folders); i++)
        if (snprintf(buf, size, "%s/%s", firmware_folders[i], name) < (int)size && !access(buf, R_OK))
            return buf;
    return name;
}

static int take_drive(struct machine *m, struct machine_drive *drive, unsigned unit, struct machine_drive **banks,
                      struct error *err)
{
    if (unit >= BANKS)
        return error_set(err, -EINVAL, "drive '%s': this machine has flash units 0 and 1, and no %u", drive->id, unit);
    if (banks[unit])
        return error_set(err, -EEXIST, "drives '%s' and '%s' are both flash unit %u", banks[unit]->id, drive->id, unit);
    if (drive->taken)
        return error_set(err, -EBUSY, "drive '%s' belongs to another device already", drive->id);
    drive->taken = true;
    banks[unit] = drive;
    return 0;
}

static int choose_drives(struct machine *m, struct machine_drive **banks, struct error *err)
{
    int r = 0;
    for (unsigned i = 0; !r && i < BANKS; i++) {
        const char *option = i ? "pflash1" : "pflash0", *id = keyval_get(&m->config.board_options, option);
        struct machine_drive *drive = id ? machine_find_drive(m, id) : NULL;
        if (id && !drive)
            r = error_set(err, -ENOENT, "machine option '%s': there is no drive '%s'", option, id);
        else if (id)
            r = take_drive(m, drive, i, banks, err);
    }
    // Drives that name no unit take the first free one.
    for (int named = 1; named >= 0; named--)
        for (size_t i = 0; !r && i < m->drive_count; i++) {
            struct machine_drive *drive = &m->drives[i];
            if (!drive->pflash || drive->taken || (drive->unit >= 0) != named)
                continue;
            unsigned unit = 0;
            while (unit < BANKS && banks[unit])
                unit++;
            r = take_drive(m, drive, named ? (unsigned)drive->unit : unit, banks, err);
        }
    return r;
}

static int create_bank(struct machine *m, unsigned unit, struct machine_drive *drive, struct mem_ram **ret_ram,
                       struct error *err)
{
    uint64_t size = virt_map[VIRT_FLASH].size / BANKS;
    char path[32], name[16];
    snprintf(path, sizeof path, "/virt/flash%u", unit);
    snprintf(name, sizeof name, "flash%u", unit);
    struct cfi_flash_config config = {.path = path,
                                      .size = size,
                                      .sector = SECTOR,
                                      .mem = m->mem,
                                      .block = drive ? drive->block : NULL,
                                      .readonly = drive && block_readonly(drive->block)};
    struct device *dev;
    int r = cfi_flash_create(&config, &dev, err);
    if (r)
        return drive ? error_prefix(err, r, "drive '%s'", drive->id) : r;
    r = machine_add_device(m, dev, err);
    return r ? r : cfi_flash_map(dev, name, (struct gpa){virt_map[VIRT_FLASH].base + unit * size}, ret_ram, err);
}

// A reset writes the firmware again, as if it were a ROM; the rest of the bank stays as it is.
static int load_bios(struct machine *m, struct error *err)
{
    char buf[256];
    uint8_t *data;
    uint64_t size;
    int r = loader_read_file("-bios", find_firmware(m->config.bios, buf, sizeof buf), virt_map[VIRT_FLASH].size / BANKS,
                             &data, &size, err);
    return r ? r : loader_add(&m->loader, "firmware", virt_map[VIRT_FLASH].base, data, size, size, err);
}

int virt_create_flash(struct machine *m, struct error *err)
{
    struct virt *v = virt_of(m);
    struct machine_drive *banks[BANKS] = {NULL};
    int r = choose_drives(m, banks, err);
    if (!r && banks[0] && m->config.bios)
        r = error_set(err, -EINVAL, "-bios and drive '%s' both want the first flash bank", banks[0]->id);
    v->firmware = m->config.bios || banks[0];
    if (r || (!v->firmware && !banks[1]))
        return r;
    for (unsigned i = 0; !r && i < BANKS; i++)
        r = create_bank(m, i, banks[i], &v->flash[i], err);
    if (!r && m->config.bios)
        r = load_bios(m, err);
    v->present[VIRT_FLASH] = true;
    return r;
}
