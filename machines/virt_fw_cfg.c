// SPDX-License-Identifier: MIT
// Owns what virt's firmware is told through fw_cfg: sizes, the kernel that firmware is to start, and the
// user's files.
#include "hw/fw_cfg/fw_cfg.h"
#include "machines/virt_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int add_user_file(struct device *dev, struct keyval_list *o, struct error *err)
{
    const char *name = keyval_get(o, "name"), *file = keyval_get(o, "file"), *text = keyval_get(o, "string");
    if (keyval_unused(o))
        return error_set(err, -EINVAL, "-fw_cfg does not know the option '%s'", keyval_unused(o));
    if (!name || !file == !text)
        return error_set(err, -EINVAL, "-fw_cfg needs name= and one of file= and string=");
    if (text)
        return fw_cfg_add_file(dev, name, text, (uint32_t)strlen(text), err);
    uint8_t *data;
    uint64_t size;
    int r = loader_read_file("-fw_cfg", file, UINT32_MAX, &data, &size, err);
    if (r)
        return r;
    r = fw_cfg_add_file(dev, name, data, (uint32_t)size, err);
    free(data);
    return r;
}

// Takes data (malloc'ed).
static int add_blob(struct device *dev, enum fw_cfg_key size_key, enum fw_cfg_key data_key, uint8_t *data, uint64_t size,
                    struct error *err)
{
    int r = 0;
    if (fw_cfg_add_u32(dev, size_key, (uint32_t)size) || fw_cfg_add(dev, data_key, data, (uint32_t)size))
        r = error_set(err, -ENOMEM, "out of memory");
    free(data);
    return r;
}

// With firmware, the kernel is the firmware's to start.
static int add_kernel(struct machine *m, struct device *dev, struct error *err)
{
    const struct machine_config *c = &m->config;
    uint8_t *data;
    uint64_t size;
    int r = 0;
    if (c->kernel) {
        r = loader_read_kernel(c->kernel, UINT32_MAX, &data, &size, err);
        if (!r)
            r = add_blob(dev, FW_CFG_KERNEL_SIZE, FW_CFG_KERNEL_DATA, data, size, err);
    }
    if (!r && c->initrd) {
        r = loader_read_file("-initrd", c->initrd, UINT32_MAX, &data, &size, err);
        if (!r)
            r = add_blob(dev, FW_CFG_INITRD_SIZE, FW_CFG_INITRD_DATA, data, size, err);
    }
    if (!r && c->append) {
        uint32_t len = (uint32_t)strlen(c->append) + 1;
        if (fw_cfg_add_u32(dev, FW_CFG_CMDLINE_SIZE, len) || fw_cfg_add(dev, FW_CFG_CMDLINE_DATA, c->append, len))
            r = error_set(err, -ENOMEM, "out of memory");
    }
    return r;
}

int virt_create_fw_cfg(struct machine *m, const struct virt_device *row, unsigned instance, struct error *err)
{
    struct fw_cfg_config config = {.path = "/virt/fw-cfg", .mem = m->mem};
    struct device *dev;
    int r = fw_cfg_create(&config, &dev, err);
    if (!r)
        r = virt_map_device(m, row, instance, dev, err);
    if (r)
        return r;
    virt_of(m)->fw_cfg = dev;
    if (fw_cfg_add_u64(dev, FW_CFG_RAM_SIZE, m->config.ram_size) ||
        fw_cfg_add_u16(dev, FW_CFG_NOGRAPHIC, 1) ||
        fw_cfg_add_u16(dev, FW_CFG_NB_CPUS, (uint16_t)m->config.cpu_count) ||
        fw_cfg_add_u16(dev, FW_CFG_MAX_CPUS, (uint16_t)m->config.cpu_count) ||
        fw_cfg_add_u16(dev, FW_CFG_BOOT_MENU, 0))
        return error_set(err, -ENOMEM, "out of memory");
    if (virt_of(m)->firmware)
        r = add_kernel(m, dev, err);
    for (size_t i = 0; !r && i < m->config.fw_cfg_count; i++)
        r = add_user_file(dev, &m->config.fw_cfg[i], err);
    return r;
}
