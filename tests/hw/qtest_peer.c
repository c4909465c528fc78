// SPDX-License-Identifier: MIT
// Our devices at the addresses of QEMU's virt board, driven by lines on standard input, so that qtest_diff.py
// can compare them with QEMU's: "r ADDR SIZE", "w ADDR SIZE VALUE" (hex), "i SPI LEVEL". Answers one line
// each.
#include "base/clock.h"
#include "base/loop.h"
#include "hw/char/pl011.h"
#include "hw/gpio/pl061.h"
#include "hw/intc/gicv2.h"
#include "hw/intc/gicv3.h"
#include "hw/intc/gicv3_its.h"
#include "hw/rtc/pl031.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPIS = 256 };

static void add(struct mem_space *space, struct device *dev, uint64_t base)
{
    if (mem_add_mmio(space, dev->path, (struct gpa){base}, dev->class->mmio_size, dev->class->mmio, dev, 0,
                     NULL))
        exit(1);
}

static struct irq add_gicv2(struct mem_space *space)
{
    struct gicv2 *gic;
    struct gicv2_config config = {.path = "gic", .cpu_count = 1, .spi_count = SPIS};
    if (gicv2_create(&config, &gic, NULL) ||
        mem_add_mmio(space, "gicc", (struct gpa){0x08010000}, GICV2_CPU_SIZE, &gicv2_cpu_ops, gic, 0, NULL))
        exit(1);
    add(space, gicv2_device(gic), 0x08000000);
    return gicv2_spi_irq(gic, 0);
}

// With an ITS: four CPUs, and memory for the tables.
static struct irq add_gicv3(struct mem_space *space, bool with_its)
{
    struct gicv3 *gic;
    struct gicv3_config config = {
        .path = "gic", .cpu_count = with_its ? 4 : 1, .spi_count = SPIS, .mem = with_its ? space : NULL};
    struct gicv3_its_config its_config = {.path = "its"};
    struct device *its;
    struct mem_ram *ram;
    if (gicv3_create(&config, &gic, NULL))
        exit(1);
    struct gicv3_redist_map map = gicv3_redist(gic, 0);
    if (mem_add_mmio(space, "gicr", (struct gpa){0x080a0000}, map.size, map.ops, map.opaque, 0, NULL))
        exit(1);
    add(space, gicv3_device(gic), 0x08000000);
    its_config.gic = gic;
    if (with_its) {
        if (gicv3_its_create(&its_config, &its, NULL) ||
            mem_add_ram(space, "ram", (struct gpa){0x40000000}, 64 << 20, 0, &ram, NULL))
            exit(1);
        add(space, its, 0x08080000);
    }
    return gicv3_spi_irq(gic, 0);
}

int main(int argc, char **argv)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct clock clock;
    struct loop *loop;
    struct mem_space *space;
    struct device *uart, *rtc, *gpio;
    clock_init(&clock, NULL, NULL); // stopped, as the peer's
    if (argc < 2 || loop_create(&lock, &loop, NULL) || mem_space_create(&lock, &space, NULL))
        return 1;
    struct irq spi = argv[1][0] == '2' ? add_gicv2(space) : add_gicv3(space, !strcmp(argv[1], "3,its=on"));
    struct pl011_config uart_config = {.path = "uart", .clock = &clock, .loop = loop};
    struct pl031_config rtc_config = {.path = "rtc", .clock = &clock, .loop = loop};
    struct pl061_config gpio_config = {.path = "gpio"};
    if (pl011_create(&uart_config, &uart, NULL) || pl031_create(&rtc_config, &rtc, NULL) ||
        pl061_create(&gpio_config, &gpio, NULL))
        return 1;
    add(space, uart, 0x09000000);
    add(space, rtc, 0x09010000);
    add(space, gpio, 0x09030000);
    mem_commit(space);
    char line[128];
    while (fgets(line, sizeof line, stdin)) {
        uint64_t addr, value = 0;
        unsigned size, level;
        if (sscanf(line, "r %" SCNx64 " %u", &addr, &size) == 2) {
            mem_read(space, (struct gpa){addr}, &value, size <= 8 ? size : 0, false);
        } else if (sscanf(line, "w %" SCNx64 " %u %" SCNx64, &addr, &size, &value) == 3) {
            mem_write(space, (struct gpa){addr}, &value, size <= 8 ? size : 0, false);
        } else if (sscanf(line, "i %u %u", &size, &level) == 2 && size < SPIS) {
            spi.line = size;
            irq_set(&spi, level);
        }
        printf("%" PRIx64 "\n", value);
        fflush(stdout);
    }
    return 0;
}
