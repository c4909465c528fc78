// SPDX-License-Identifier: MIT
// The panic device on PCI: what it announces, what it takes.
#include "base/error.h"
#include "hw/misc/pvpanic_pci.h"

#include <criterion/criterion.h>

static void count(void *opaque)
{
    ++*(unsigned *)opaque;
}

Test(pvpanic, tells)
{
    unsigned panics = 0;
    const struct pvpanic_pci_config config = {.path = "/panic", .panicked = count, .opaque = &panics};
    struct pci_device *pdev;
    struct error err;
    cr_assert_eq(pvpanic_pci_create(&config, &pdev, &err), 0);
    cr_assert_eq(pci_config_read(pdev, PCI_VENDOR_ID, 4), 0x00111b36);
    cr_assert_eq(pci_config_read(pdev, PCI_CLASS_CODE - 1, 4) >> 8, 0x088000);
    cr_assert_eq(pci_bar_read(pdev, 0, 0, 1), 1);
    cr_assert_eq(pci_bar_read(pdev, 0, 0, 4), 1);
    cr_assert_eq(pci_bar_read(pdev, 0, 1, 1), 0);
    pci_bar_write(pdev, 0, 0, 1, 2); // not announced
    pci_bar_write(pdev, 0, 1, 1, 1);
    pci_bar_write(pdev, 0, 0, 4, 0x01010100);
    cr_assert_eq(panics, 0);
    pci_bar_write(pdev, 0, 0, 1, 3);
    cr_assert_eq(panics, 1);
    pci_bar_write(pdev, 0, 0, 4, 1);
    cr_assert_eq(panics, 2);
    device_destroy(&pdev->dev);
}
