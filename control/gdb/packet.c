// SPDX-License-Identifier: MIT
// Owns framing: the parser is a state machine over bytes, so that packets may arrive in any pieces. Invariant: len
// never passes GDB_PACKET_MAX; a packet that would is read to its end and refused.
#include "control/gdb/packet.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { OUTSIDE, INSIDE, SUM_HIGH, SUM_LOW };
enum { ESCAPE = '}', ESCAPE_BIT = 0x20, INTERRUPT = 3 };

// -1: none.
static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void gdb_parser_reset(struct gdb_parser *parser)
{
    parser->state = OUTSIDE;
    parser->len = 0;
}

static enum gdb_input outside(struct gdb_parser *p, uint8_t byte)
{
    switch (byte) {
    case '+': return GDB_INPUT_ACK;
    case '-': return GDB_INPUT_NACK;
    case INTERRUPT: return GDB_INPUT_INTERRUPT;
    case '$':
        p->state = INSIDE;
        p->sum = 0;
        p->len = 0;
        p->escaped = p->too_long = false;
        return GDB_INPUT_NONE;
    default: return GDB_INPUT_NONE;
    }
}

static void inside(struct gdb_parser *p, uint8_t byte)
{
    p->sum += byte;
    if (byte == ESCAPE && !p->escaped) {
        p->escaped = true;
        return;
    }
    if (p->len == GDB_PACKET_MAX)
        p->too_long = true;
    else
        p->data[p->len++] = p->escaped ? byte ^ ESCAPE_BIT : byte;
    p->escaped = false;
}

enum gdb_input gdb_parse(struct gdb_parser *p, uint8_t byte)
{
    int digit;
    switch (p->state) {
    case INSIDE:
        if (byte == '$') // a packet that broke off, and its repetition
            return outside(p, byte);
        if (byte == '#')
            p->state = SUM_HIGH;
        else
            inside(p, byte);
        return GDB_INPUT_NONE;
    case SUM_HIGH:
        digit = hex_digit(byte);
        p->state = digit < 0 ? OUTSIDE : SUM_LOW;
        p->wanted = (uint8_t)((unsigned)digit << 4);
        return digit < 0 ? GDB_INPUT_BAD : GDB_INPUT_NONE;
    case SUM_LOW:
        digit = hex_digit(byte);
        p->state = OUTSIDE;
        p->data[p->len] = 0;
        return digit < 0 || (p->wanted | digit) != p->sum || p->too_long || p->escaped ? GDB_INPUT_BAD
                                                                                       : GDB_INPUT_PACKET;
    default: return outside(p, byte);
    }
}

void gdb_reply_clear(struct gdb_reply *reply)
{
    reply->len = 0;
    reply->full = false;
}

void gdb_put(struct gdb_reply *reply, const char *format, ...)
{
    va_list args;
    size_t room = sizeof reply->data - reply->len;
    va_start(args, format);
    int n = vsnprintf((char *)reply->data + reply->len, room, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= room)
        reply->full = true;
    else
        reply->len += (size_t)n;
}

void gdb_put_hex(struct gdb_reply *reply, const void *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = bytes;
    for (size_t i = 0; i < len; i++) {
        if (sizeof reply->data - reply->len < 2) {
            reply->full = true;
            return;
        }
        reply->data[reply->len++] = (uint8_t)digits[p[i] >> 4];
        reply->data[reply->len++] = (uint8_t)digits[p[i] & 15];
    }
}

bool gdb_put_binary(struct gdb_reply *reply, uint8_t byte)
{
    bool escape = byte == '#' || byte == '$' || byte == ESCAPE || byte == '*';
    if (sizeof reply->data - reply->len < 1u + escape)
        return false;
    if (escape)
        reply->data[reply->len++] = ESCAPE;
    reply->data[reply->len++] = escape ? byte ^ ESCAPE_BIT : byte;
    return true;
}

size_t gdb_frame(const struct gdb_reply *reply, uint8_t *frame)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < reply->len; i++)
        sum += reply->data[i];
    char tail[4];
    snprintf(tail, sizeof tail, "#%02x", sum);
    frame[0] = '$';
    memcpy(frame + 1, reply->data, reply->len);
    memcpy(frame + 1 + reply->len, tail, 3);
    return reply->len + 4;
}

bool gdb_get_u64(const char **at, uint64_t *ret_value)
{
    uint64_t v = 0;
    unsigned n = 0;
    for (int d; (d = hex_digit((uint8_t)**at)) >= 0; n++, (*at)++)
        v = v << 4 | (unsigned)d;
    if (!n || n > 16)
        return false;
    *ret_value = v;
    return true;
}

bool gdb_get_bytes(const char **at, void *buf, size_t len)
{
    uint8_t *p = buf;
    for (size_t i = 0; i < len; i++) {
        int high = hex_digit((uint8_t)(*at)[0]);
        int low = high < 0 ? -1 : hex_digit((uint8_t)(*at)[1]);
        if (low < 0)
            return false;
        p[i] = (uint8_t)(high << 4 | low);
        *at += 2;
    }
    return true;
}
