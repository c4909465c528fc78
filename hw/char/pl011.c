// SPDX-License-Identifier: MIT
// Owns the PL011's registers and receive FIFO (Arm DDI 0183 chapter 3). Output leaves at once, so the
// transmit FIFO is always empty and every write to DR passes its trigger level.
//
// Two liberties, for guests written against other emulators: data moves while CR.UARTEN, TXE and RXE are
// clear, and the receive timeout also raises the receive interrupt.
#include "hw/char/pl011.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/loop.h"
#include "host/chardev.h"
#include "hw/core/primecell.h"

#include <errno.h>
#include <stdlib.h>

enum {
    UARTDR = 0x000,
    UARTRSR = 0x004,
    UARTFR = 0x018,
    UARTILPR = 0x020,
    UARTIBRD = 0x024,
    UARTFBRD = 0x028,
    UARTLCR_H = 0x02c,
    UARTCR = 0x030,
    UARTIFLS = 0x034,
    UARTIMSC = 0x038,
    UARTRIS = 0x03c,
    UARTMIS = 0x040,
    UARTICR = 0x044,
    UARTDMACR = 0x048,
};

enum { // UARTFR
    FR_CTS = 1 << 0,
    FR_DSR = 1 << 1,
    FR_DCD = 1 << 2,
    FR_RXFE = 1 << 4,
    FR_RXFF = 1 << 6,
    FR_TXFE = 1 << 7,
    FR_RI = 1 << 8,
};
enum { // UARTCR
    CR_LBE = 1 << 7,
    CR_DTR = 1 << 10,
    CR_RTS = 1 << 11,
    CR_Out1 = 1 << 12,
    CR_Out2 = 1 << 13,
    CR_RESET = 0x300,
};
enum { LCR_BRK = 1 << 0, LCR_FEN = 1 << 4 };
enum { // UARTRIS
    INT_RI = 1 << 0,
    INT_CTS = 1 << 1,
    INT_DCD = 1 << 2,
    INT_DSR = 1 << 3,
    INT_RX = 1 << 4,
    INT_TX = 1 << 5,
    INT_RT = 1 << 6,
    INT_FE = 1 << 7,
    INT_PE = 1 << 8,
    INT_BE = 1 << 9,
    INT_OE = 1 << 10,
    INT_ALL = 0x7ff,
};
enum { DR_FE = 1 << 8, DR_PE = 1 << 9, DR_BE = 1 << 10, DR_OE = 1 << 11 };
enum { FIFO_SIZE = 16, IFLS_RESET = 0x12, PART = 0x011, REVISION = 1, CLOCK_HZ = 24000000 };

struct pl011 {
    struct device dev;
    struct chardev *chardev;
    struct irq irq;
    struct clock *clock;
    struct loop_timer timeout;

    uint32_t rsr, ilpr, ibrd, fbrd, lcr_h, cr, ifls, imsc, ris, dmacr;
    uint16_t fifo[FIFO_SIZE]; // received: data and error bits as in DR
    uint8_t head, count;
    bool overrun;       // marks the next character
    int64_t timeout_at; // CLOCK_NEVER: not running
};

static void update_irq(struct pl011 *u)
{
    irq_set(&u->irq, u->ris & u->imsc);
}

static unsigned capacity(const struct pl011 *u)
{
    return u->lcr_h & LCR_FEN ? FIFO_SIZE : 1;
}

static unsigned receive_trigger(const struct pl011 *u)
{
    static const uint8_t levels[8] = {2,  4,  8,  12,
                                      14, 14, 14, 14}; // 1/8, 1/4, 1/2, 3/4, 7/8; the rest is reserved
    return u->lcr_h & LCR_FEN ? levels[u->ifls >> 3 & 7] : 1;
}

static void set_timeout(struct pl011 *u, int64_t at)
{
    u->timeout_at = at;
    loop_timer_arm(&u->timeout, at);
}

// 32 bit periods from now, within reason when the guest set no or an odd rate.
static void start_timeout(struct pl011 *u)
{
    enum { LONGEST = 4000000, UNSET = 300000 };
    int64_t divisor = u->ibrd * 64 + u->fbrd; // in 64ths; a bit lasts 16 * divisor / 64 cycles
    int64_t wait = divisor ? divisor * 32 * 1000000000 / (4 * (int64_t)CLOCK_HZ) : UNSET;
    set_timeout(u, clock_now(u->clock) + (wait < LONGEST ? wait : LONGEST));
}

static void timed_out(void *opaque)
{
    struct pl011 *u = opaque;
    u->timeout_at = CLOCK_NEVER;
    if (u->count) {
        u->ris |= INT_RT | INT_RX;
        update_irq(u);
    }
}

// --- receiving ---

static void receive_char(struct pl011 *u, uint16_t c)
{
    if (u->count >= capacity(u)) {
        u->overrun = true;
        u->ris |= INT_OE;
        return;
    }
    if (u->overrun)
        c |= DR_OE;
    u->overrun = false;
    u->fifo[(u->head + u->count) % FIFO_SIZE] = c;
    u->count++;
    u->ris |= (c & DR_FE ? INT_FE : 0) | (c & DR_PE ? INT_PE : 0) | (c & DR_BE ? INT_BE : 0);
    if (u->count >= receive_trigger(u))
        u->ris |= INT_RX;
    start_timeout(u);
}

static uint32_t read_data(struct pl011 *u)
{
    if (!u->count)
        return 0;
    uint16_t c = u->fifo[u->head];
    u->head = (u->head + 1) % FIFO_SIZE;
    u->count--;
    u->rsr = c >> 8;
    if (u->count < receive_trigger(u))
        u->ris &= ~INT_RX;
    if (!u->count) {
        u->ris &= ~INT_RT;
        set_timeout(u, CLOCK_NEVER);
    }
    update_irq(u);
    chardev_accept_input(u->chardev);
    return c;
}

static void empty_fifo(struct pl011 *u)
{
    u->head = u->count = 0;
    u->overrun = false;
    u->ris &= ~(INT_RX | INT_RT);
    set_timeout(u, CLOCK_NEVER);
}

static size_t sink_can_receive(void *opaque)
{
    const struct pl011 *u = opaque;
    return u->cr & CR_LBE || u->count >= capacity(u) ? 0 : capacity(u) - u->count;
}

static void sink_receive(void *opaque, const uint8_t *buf, size_t len)
{
    struct pl011 *u = opaque;
    for (size_t i = 0; i < len; i++)
        receive_char(u, buf[i]);
    update_irq(u);
}

static void sink_event(void *opaque, enum chardev_event event)
{
    struct pl011 *u = opaque;
    if (event == CHARDEV_BREAK && !(u->cr & CR_LBE)) {
        receive_char(u, DR_BE);
        update_irq(u);
    }
}

static const struct chardev_sink sink = {sink_can_receive, sink_receive, sink_event};

// --- registers ---

static uint32_t modem_lines(const struct pl011 *u)
{
    if (!(u->cr & CR_LBE))
        return FR_CTS | FR_DSR | FR_DCD; // somebody is always there
    return (u->cr & CR_RTS ? FR_CTS : 0) | (u->cr & CR_DTR ? FR_DSR : 0) | (u->cr & CR_Out1 ? FR_DCD : 0) |
           (u->cr & CR_Out2 ? FR_RI : 0);
}

static uint32_t read_flags(const struct pl011 *u)
{
    return modem_lines(u) | FR_TXFE | (u->count ? 0 : FR_RXFE) | (u->count >= capacity(u) ? FR_RXFF : 0);
}

static void transmit(struct pl011 *u, uint8_t c)
{
    if (u->cr & CR_LBE)
        receive_char(u, c);
    else
        chardev_write(u->chardev, &c, 1);
    u->ris |= INT_TX;
    update_irq(u);
}

static void write_line_control(struct pl011 *u, uint32_t value)
{
    uint32_t changed = (u->lcr_h ^ value) & 0xff;
    u->lcr_h = value & 0xff;
    if (changed & LCR_FEN) {
        empty_fifo(u);
        chardev_accept_input(u->chardev);
    }
    if (changed & value & LCR_BRK && u->cr & CR_LBE)
        receive_char(u, DR_BE);
    update_irq(u);
}

static void write_control(struct pl011 *u, uint32_t value)
{
    uint32_t lines = modem_lines(u);
    u->cr = value & 0xff87; // bits 3 to 6 are reserved
    lines ^= modem_lines(u);
    u->ris |= (lines & FR_RI ? INT_RI : 0) | (lines & FR_CTS ? INT_CTS : 0) | (lines & FR_DCD ? INT_DCD : 0) |
              (lines & FR_DSR ? INT_DSR : 0);
    update_irq(u);
    chardev_accept_input(u->chardev);
}

static void clear_interrupts(struct pl011 *u, uint32_t value)
{
    u->ris &= ~value;
    if (value & (INT_RT | INT_RX) && u->count && u->timeout_at == CLOCK_NEVER)
        start_timeout(u); // what is left in the FIFO asks again
    update_irq(u);
}

static enum mem_result pl011_read(void *opaque, uint64_t offset, unsigned size, uint64_t *ret_value)
{
    struct pl011 *u = opaque;
    uint32_t value = 0;
    switch (offset & ~3ull) {
    case UARTDR: value = offset & 3 ? 0 : read_data(u); break;
    case UARTRSR: value = u->rsr; break;
    case UARTFR: value = read_flags(u); break;
    case UARTILPR: value = u->ilpr; break;
    case UARTIBRD: value = u->ibrd; break;
    case UARTFBRD: value = u->fbrd; break;
    case UARTLCR_H: value = u->lcr_h; break;
    case UARTCR: value = u->cr; break;
    case UARTIFLS: value = u->ifls; break;
    case UARTIMSC: value = u->imsc; break;
    case UARTRIS: value = u->ris; break;
    case UARTMIS: value = u->ris & u->imsc; break;
    case UARTDMACR: value = u->dmacr; break;
    default: value = offset >= PRIMECELL_ID ? primecell_id(offset, PART, REVISION) : 0; break;
    }
    *ret_value = primecell_part(value, offset, size);
    return MEM_OK;
}

static enum mem_result pl011_write(void *opaque, uint64_t offset, unsigned size, uint64_t value64)
{
    struct pl011 *u = opaque;
    uint32_t value = (uint32_t)value64;
    switch (offset) {
    case UARTDR: transmit(u, (uint8_t)value); break;
    case UARTRSR: u->rsr = 0; break; // ECR: any value clears
    case UARTILPR: u->ilpr = value & 0xff; break;
    case UARTIBRD: u->ibrd = value & 0xffff; break;
    case UARTFBRD: u->fbrd = value & 0x3f; break;
    case UARTLCR_H: write_line_control(u, value); break;
    case UARTCR: write_control(u, value); break;
    case UARTIFLS: u->ifls = value & 0x3f; break;
    case UARTIMSC:
        u->imsc = value & INT_ALL;
        update_irq(u);
        break;
    case UARTICR: clear_interrupts(u, value & INT_ALL); break;
    case UARTDMACR: u->dmacr = value & 7; break; // stored: there is no DMA controller
    default: break;
    }
    return MEM_OK;
}

static const struct mem_mmio_ops mmio = {pl011_read, pl011_write, 1, 4};

// --- the device ---

static void pl011_reset(struct device *dev)
{
    struct pl011 *u = (struct pl011 *)dev;
    u->rsr = u->ilpr = u->ibrd = u->fbrd = u->lcr_h = u->imsc = u->ris = u->dmacr = 0;
    u->cr = CR_RESET;
    u->ifls = IFLS_RESET;
    empty_fifo(u);
    update_irq(u);
    chardev_accept_input(u->chardev);
}

static void pl011_post_load(struct device *dev)
{
    struct pl011 *u = (struct pl011 *)dev;
    u->head %= FIFO_SIZE;
    if (u->count > FIFO_SIZE)
        u->count = FIFO_SIZE;
    u->ibrd &= 0xffff;
    u->fbrd &= 0x3f;
    set_timeout(u, u->timeout_at);
    update_irq(u);
}

static void pl011_destroy(struct device *dev)
{
    struct pl011 *u = (struct pl011 *)dev;
    chardev_attach(u->chardev, NULL, NULL);
    loop_timer_destroy(&u->timeout);
    free(u);
}

static const struct state_field fields[] = {
    STATE_FIELD(1, STATE_U32, pl011, rsr),
    STATE_FIELD(2, STATE_U32, pl011, ilpr),
    STATE_FIELD(3, STATE_U32, pl011, ibrd),
    STATE_FIELD(4, STATE_U32, pl011, fbrd),
    STATE_FIELD(5, STATE_U32, pl011, lcr_h),
    STATE_FIELD(6, STATE_U32, pl011, cr),
    STATE_FIELD(7, STATE_U32, pl011, ifls),
    STATE_FIELD(8, STATE_U32, pl011, imsc),
    STATE_FIELD(9, STATE_U32, pl011, ris),
    STATE_FIELD(10, STATE_U32, pl011, dmacr),
    STATE_ARRAY(11, STATE_U16, pl011, fifo, FIFO_SIZE),
    STATE_FIELD(12, STATE_U8, pl011, head),
    STATE_FIELD(13, STATE_U8, pl011, count),
    STATE_FIELD(14, STATE_BOOL, pl011, overrun),
    STATE_FIELD(15, STATE_TIME, pl011, timeout_at),
};

static const struct device_class class =
    DEVICE_CLASS("pl011", 1, fields, pl011_reset, pl011_post_load, pl011_destroy, &mmio, PRIMECELL_SIZE);

int pl011_create(const struct pl011_config *config, struct device **ret_dev, struct error *err)
{
    struct pl011 *u = calloc(1, sizeof *u);
    if (!u)
        return error_set(err, -ENOMEM, "no memory for a PL011");
    device_init(&u->dev, &class, config->path);
    u->irq = config->irq;
    u->clock = config->clock;
    int code = loop_timer_init(config->loop, &u->timeout, config->clock, timed_out, u);
    if (code) {
        free(u);
        return error_set(err, code, "the event loop has no room for a PL011's timer");
    }
    device_reset(&u->dev);
    u->chardev = config->chardev;
    chardev_attach(u->chardev, &sink, u);
    *ret_dev = &u->dev;
    return 0;
}
