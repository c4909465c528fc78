// SPDX-License-Identifier: MIT
// Owns the MSI-X table, its pending bits and what is sent when (PCI Local Bus 3.0, 6.8.2). Invariant: a
// pending bit is set only while its vector or the whole function is masked.
#include "hw/pci/msix.h"
#include "hw/pci/pci.h"

#include <assert.h>
#include <string.h>

enum {
    MessageControl = 2, // offsets in the capability
    Table = 4,
    PBA = 8,
    CAPABILITY_SIZE = 12,
    FunctionMask = 1 << 14,
    Enable = 1 << 15,
    MessageAddress = 0, // offsets in an entry
    MessageUpperAddress = 4,
    MessageData = 8,
    VectorControl = 12,
    MASK_BIT = 1,
};

static uint16_t control(const struct pci_device *pdev)
{
    return pci_get16(pdev->config, pdev->msix.cap + MessageControl);
}

bool msix_enabled(const struct pci_device *pdev)
{
    return pdev->msix.count && control(pdev) & Enable;
}

static bool masked(const struct pci_device *pdev, unsigned vector)
{
    const uint8_t *entry = pdev->msix.table + vector * MSIX_ENTRY_SIZE;
    return control(pdev) & FunctionMask || entry[VectorControl] & MASK_BIT;
}

static void send(struct pci_device *pdev, unsigned vector)
{
    const uint8_t *entry = pdev->msix.table + vector * MSIX_ENTRY_SIZE;
    uint64_t addr =
        (uint64_t)pci_get32(entry, MessageUpperAddress) << 32 | (pci_get32(entry, MessageAddress) & ~3u);
    pci_send_msi(pdev, addr, pci_get32(entry, MessageData));
}

void msix_notify(struct pci_device *pdev, unsigned vector)
{
    if (!msix_enabled(pdev) || vector >= pdev->msix.count)
        return;
    if (masked(pdev, vector))
        pdev->msix.pending[vector / 64] |= 1ull << vector % 64;
    else
        send(pdev, vector);
}

void msix_send_pending(struct pci_device *pdev)
{
    if (!msix_enabled(pdev))
        return;
    for (unsigned i = 0; i < MSIX_MAX / 64; i++)
        for (uint64_t left = pdev->msix.pending[i]; left; left &= left - 1) {
            unsigned vector = i * 64 + (unsigned)__builtin_ctzll(left);
            if (masked(pdev, vector))
                continue;
            pdev->msix.pending[i] &= ~(1ull << vector % 64);
            send(pdev, vector);
        }
}

static enum mem_result table_read(void *opaque, uint64_t offset, unsigned size, uint64_t *ret_value)
{
    const struct msix *msix = &((struct pci_device *)opaque)->msix;
    *ret_value = 0;
    if (offset < msix->count * MSIX_ENTRY_SIZE)
        *ret_value = pci_get32(msix->table, (unsigned)offset);
    else if (offset >= MSIX_PBA && offset < MSIX_PBA + MSIX_MAX / 8)
        *ret_value = (uint32_t)(msix->pending[(offset - MSIX_PBA) / 8] >> (offset & 4) * 8);
    return MEM_OK;
}

static enum mem_result table_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct pci_device *pdev = opaque;
    if (offset >= pdev->msix.count * MSIX_ENTRY_SIZE)
        return MEM_OK;
    if (offset % MSIX_ENTRY_SIZE == VectorControl)
        value &= MASK_BIT;
    pci_put32(pdev->msix.table, (unsigned)offset, (uint32_t)value);
    if (offset % MSIX_ENTRY_SIZE == VectorControl)
        msix_send_pending(pdev);
    return MEM_OK;
}

static const struct mem_mmio_ops table_ops = {table_read, table_write, 4, 4};

void msix_init(struct pci_device *pdev, unsigned bar, unsigned count)
{
    assert(count && count <= MSIX_MAX);
    const struct pci_bar table = {.size = MSIX_BAR_SIZE, .ops = &table_ops, .opaque = pdev};
    pci_add_bar(pdev, bar, &table);
    unsigned cap = pci_add_capability(pdev, PCI_CAP_MSIX, CAPABILITY_SIZE);
    pci_put16(pdev->initial, cap + MessageControl, (uint16_t)(count - 1));
    pci_put16(pdev->writable, cap + MessageControl, FunctionMask | Enable);
    pci_put32(pdev->initial, cap + Table, bar);
    pci_put32(pdev->initial, cap + PBA, MSIX_PBA | bar);
    pdev->msix.cap = cap;
    pdev->msix.count = count;
    msix_reset(pdev);
}

void msix_reset(struct pci_device *pdev)
{
    memset(pdev->msix.table, 0, sizeof pdev->msix.table);
    memset(pdev->msix.pending, 0, sizeof pdev->msix.pending);
    for (unsigned i = 0; i < pdev->msix.count; i++)
        pdev->msix.table[i * MSIX_ENTRY_SIZE + VectorControl] = MASK_BIT;
}

// A saved state may hold anything.
void msix_restored(struct pci_device *pdev)
{
    for (unsigned i = 0; i < MSIX_MAX; i++) {
        uint8_t *entry = pdev->msix.table + i * MSIX_ENTRY_SIZE;
        if (i >= pdev->msix.count) {
            memset(entry, 0, MSIX_ENTRY_SIZE);
            pdev->msix.pending[i / 64] &= ~(1ull << i % 64);
        } else {
            pci_put32(entry, VectorControl, entry[VectorControl] & MASK_BIT);
        }
    }
}
