// SPDX-License-Identifier: MIT
// Owns the registers in the BAR (xHCI 1.1, 5.3 to 5.6, 7): capabilities, operational and port registers, runtime
// registers, doorbells. All have 32 bits; a narrower read sees its part, a narrower write is dropped.
#include "hw/usb/xhci_internal.h"

// 5.3
enum {
    CAPLENGTH = 0x00,
    HCSPARAMS1 = 0x04,
    HCSPARAMS2 = 0x08,
    HCCPARAMS1 = 0x10,
    DBOFF = 0x14,
    RTSOFF = 0x18,
    EXTENDED = 0x20, // two Supported Protocol Capabilities
    HCIVERSION = 0x0100,
    IST = 0xf, // isochronous scheduling threshold
    AC64 = 1,
};

// 7.2
enum {
    CAP_SUPPORTED_PROTOCOL = 2,
    CAP_SIZE = 0x10,
    NAME_USB = 0x20425355,
    USB_2_0 = 0x0200,
    USB_3_0 = 0x0300,
};

// 5.4
enum {
    USBCMD = 0x00,
    USBSTS = 0x04,
    PAGESIZE = 0x08,
    DNCTRL = 0x14,
    CRCR_LOW = 0x18,
    CRCR_HIGH = 0x1c,
    DCBAAP_LOW = 0x30,
    DCBAAP_HIGH = 0x34,
    CONFIG = 0x38,
    PAGE_4K = 1,
    MAX_SLOTS_MASK = 0xff,
    USBCMD_WRITABLE = USBCMD_INTE | USBCMD_HSEE | USBCMD_EWE,
};

// 5.5
enum {
    MFINDEX = 0x00,
    INTERRUPTERS = 0x20,
    INTERRUPTER_SIZE = 0x20,
    IMAN = 0x00,
    IMOD = 0x04,
    ERSTSZ = 0x08,
    ERSTBA_LOW = 0x10,
    ERSTBA_HIGH = 0x14,
    ERDP_LOW = 0x18,
    ERDP_HIGH = 0x1c,
};

static uint64_t set_low(uint64_t reg, uint32_t value)
{
    return (reg & 0xffffffff00000000u) | value;
}

static uint64_t set_high(uint64_t reg, uint32_t value)
{
    return (reg & 0xffffffffu) | (uint64_t)value << 32;
}

// --- capabilities ---

static uint32_t read_protocol(uint32_t version, uint32_t first, uint32_t count, bool last, unsigned offset)
{
    switch (offset) {
    case 0x0: return version << 16 | (last ? 0 : CAP_SIZE / 4 << 8) | CAP_SUPPORTED_PROTOCOL;
    case 0x4: return NAME_USB;
    case 0x8: return count << 8 | first;
    default: return 0;
    }
}

static uint32_t read_extended(const struct xhci *x, unsigned offset)
{
    bool first = offset < CAP_SIZE;
    if (first && x->ports_2)
        return read_protocol(USB_2_0, x->ports_3 + 1, x->ports_2, !x->ports_3, offset);
    if (first || (x->ports_2 && x->ports_3))
        return read_protocol(USB_3_0, 1, x->ports_3, true, offset % CAP_SIZE);
    return 0;
}

static uint32_t read_capability(const struct xhci *x, unsigned offset)
{
    if (offset >= EXTENDED)
        return read_extended(x, offset - EXTENDED);
    switch (offset) {
    case CAPLENGTH: return HCIVERSION << 16 | XHCI_CAPLENGTH;
    case HCSPARAMS1: return xhci_port_count(x) << 24 | XHCI_INTERRUPTERS << 8 | XHCI_SLOTS;
    case HCSPARAMS2: return XHCI_SEGMENTS_LOG << 4 | IST;
    case HCCPARAMS1: return EXTENDED / 4 << 16 | AC64;
    case DBOFF: return XHCI_DBOFF;
    case RTSOFF: return XHCI_RTSOFF;
    default: return 0;
    }
}

// --- operational registers ---

static uint32_t read_operational(const struct xhci *x, unsigned offset)
{
    switch (offset) {
    case USBCMD: return x->usbcmd;
    case USBSTS: return x->usbsts;
    case PAGESIZE: return PAGE_4K;
    case DNCTRL: return x->dnctrl;
    case CRCR_LOW: return x->command_running ? CRCR_CRR : 0; // the rest reads as zero
    case DCBAAP_LOW: return (uint32_t)x->dcbaap;
    case DCBAAP_HIGH: return (uint32_t)(x->dcbaap >> 32);
    case CONFIG: return x->config;
    default: return 0;
    }
}

// Nothing is kept over a power loss: a driver that asks for it back hears that it is not there (4.23.2).
static void write_usbcmd(struct xhci *x, uint32_t value)
{
    if (value & (USBCMD_HCRST | USBCMD_LHCRST)) {
        xhci_controller_reset(x);
        return;
    }
    x->usbcmd = (x->usbcmd & ~(uint32_t)USBCMD_WRITABLE) | (value & USBCMD_WRITABLE);
    if (value & USBCMD_CSS)
        x->usbsts &= ~(uint32_t)USBSTS_SRE;
    if (value & USBCMD_CRS)
        x->usbsts |= USBSTS_SRE;
    if (value & USBCMD_RS)
        x->usbcmd |= USBCMD_RS;
    xhci_run(x, value & USBCMD_RS);
    xhci_arm_wrap(x);
    xhci_update_interrupts(x);
}

static void write_crcr(struct xhci *x, uint32_t value)
{
    if (!x->command_running) {
        x->command.dequeue = set_low(x->command.dequeue, value & ~0x3fu);
        x->command.cycle = value & CRCR_RCS;
    } else if (value & (CRCR_CS | CRCR_CA)) { // no command is ever half done
        const struct xhci_trb event = {.parameter = x->command.dequeue,
                                       .status = (uint32_t)CC_COMMAND_RING_STOPPED << 24,
                                       .control = TRB_COMMAND_COMPLETION << TRB_TYPE_SHIFT};
        x->command_running = x->command_kicked = false;
        if (xhci_event_room(x, 0, 1))
            xhci_event(x, 0, &event);
    }
}

static void write_operational(struct xhci *x, unsigned offset, uint32_t value)
{
    switch (offset) {
    case USBCMD: write_usbcmd(x, value); break;
    case USBSTS: x->usbsts &= ~(value & (USBSTS_HSE | USBSTS_EINT | USBSTS_PCD | USBSTS_SRE)); break;
    case DNCTRL: x->dnctrl = value & 0xffff; break;
    case CRCR_LOW: write_crcr(x, value); break;
    case CRCR_HIGH:
        if (!x->command_running)
            x->command.dequeue = set_high(x->command.dequeue, value);
        break;
    case DCBAAP_LOW: x->dcbaap = set_low(x->dcbaap, value & ~0x3fu); break;
    case DCBAAP_HIGH: x->dcbaap = set_high(x->dcbaap, value); break;
    case CONFIG: x->config = value & MAX_SLOTS_MASK; break;
    default: break;
    }
}

// --- runtime registers ---

static uint32_t read_runtime(const struct xhci *x, unsigned offset)
{
    if (offset == MFINDEX)
        return xhci_mfindex(x);
    unsigned v = (offset - INTERRUPTERS) / INTERRUPTER_SIZE;
    if (offset < INTERRUPTERS || v >= XHCI_INTERRUPTERS)
        return 0;
    const struct xhci_interrupter *i = &x->interrupters[v];
    switch ((offset - INTERRUPTERS) % INTERRUPTER_SIZE) {
    case IMAN: return i->iman;
    case IMOD: return i->imod;
    case ERSTSZ: return i->erstsz;
    case ERSTBA_LOW: return (uint32_t)i->erstba;
    case ERSTBA_HIGH: return (uint32_t)(i->erstba >> 32);
    case ERDP_LOW: return (uint32_t)i->erdp;
    case ERDP_HIGH: return (uint32_t)(i->erdp >> 32);
    default: return 0;
    }
}

static void write_runtime(struct xhci *x, unsigned offset, uint32_t value)
{
    unsigned v = (offset - INTERRUPTERS) / INTERRUPTER_SIZE;
    if (offset < INTERRUPTERS || v >= XHCI_INTERRUPTERS)
        return;
    struct xhci_interrupter *i = &x->interrupters[v];
    switch ((offset - INTERRUPTERS) % INTERRUPTER_SIZE) {
    case IMAN:
        i->iman = (i->iman & ~(value & IMAN_IP) & IMAN_IP) | (value & IMAN_IE);
        xhci_update_interrupts(x);
        break;
    case IMOD: i->imod = value; break;
    case ERSTSZ: i->erstsz = value & 0xffff; break;
    case ERSTBA_LOW: i->erstba = set_low(i->erstba, value & ~0x3fu); break;
    case ERSTBA_HIGH: // written last (5.1)
        i->erstba = set_high(i->erstba, value);
        xhci_event_ring_reset(x, v);
        break;
    case ERDP_LOW: xhci_write_erdp(x, v, set_low(i->erdp, value)); break;
    case ERDP_HIGH: xhci_write_erdp(x, v, set_high(i->erdp & ~(uint64_t)ERDP_EHB, value)); break;
    default: break;
    }
}

static void write_doorbell(struct xhci *x, unsigned index, uint32_t value)
{
    if (!xhci_running(x))
        return;
    if (index) {
        xhci_ring_doorbell(x, index, value & 0xff);
    } else if (!(value & 0xff)) {
        x->command_running = true;
        xhci_run_commands(x);
    }
}

// --- the BAR ---

static uint32_t read_register(const struct xhci *x, uint64_t offset)
{
    if (offset < XHCI_CAPLENGTH)
        return read_capability(x, (unsigned)offset);
    if (offset < XHCI_CAPLENGTH + XHCI_PORTS)
        return read_operational(x, (unsigned)offset - XHCI_CAPLENGTH);
    unsigned port = (unsigned)(offset - XHCI_CAPLENGTH - XHCI_PORTS);
    if (offset < XHCI_RTSOFF)
        return port / 16 < xhci_port_count(x) ? xhci_port_read(x, port / 16, port % 16) : 0;
    if (offset < XHCI_DBOFF)
        return read_runtime(x, (unsigned)offset - XHCI_RTSOFF);
    return 0;
}

static enum mem_result xhci_mmio_read(void *opaque, uint64_t offset, unsigned size, uint64_t *ret_value)
{
    uint32_t value = read_register(opaque, offset & ~3ull) >> (offset & 3) * 8;
    *ret_value = size < 4 ? value & ((1u << size * 8) - 1) : value;
    return MEM_OK;
}

static enum mem_result xhci_mmio_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct xhci *x = opaque;
    unsigned port = (unsigned)(offset - XHCI_CAPLENGTH - XHCI_PORTS);
    if (size < 4 || offset < XHCI_CAPLENGTH)
        return MEM_OK;
    if (offset < XHCI_CAPLENGTH + XHCI_PORTS)
        write_operational(x, (unsigned)offset - XHCI_CAPLENGTH, (uint32_t)value);
    else if (offset < XHCI_RTSOFF && port / 16 < xhci_port_count(x))
        xhci_port_write(x, port / 16, port % 16, (uint32_t)value);
    else if (offset >= XHCI_DBOFF && (offset - XHCI_DBOFF) / 4 <= XHCI_SLOTS)
        write_doorbell(x, (unsigned)(offset - XHCI_DBOFF) / 4, (uint32_t)value);
    else if (offset >= XHCI_RTSOFF && offset < XHCI_DBOFF)
        write_runtime(x, (unsigned)offset - XHCI_RTSOFF, (uint32_t)value);
    return MEM_OK;
}

const struct mem_mmio_ops xhci_ops = {xhci_mmio_read, xhci_mmio_write, 1, 4};
