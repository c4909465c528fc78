// SPDX-License-Identifier: MIT
// Owns what the debugger reads and writes of the parked machine: registers by their number in debug_regs, memory as
// the chosen vCPU sees it (or guest-physical, by QEMU's PhyMemMode packet; RAM only, for devices react to reads), and
// the list of break- and watchpoints. Invariant: the accelerator has a breakpoint wherever the list has one or more.
#include "control/gdb/gdb_internal.h"

#include <string.h>

static struct ir_env *env_of(const struct gdb *gdb)
{
    return accel_env(gdb->accel, gdb->cpu);
}

int gdb_find_reg(const struct gdb *gdb, const char *name)
{
    for (unsigned i = 0; i < gdb->core_regs; i++)
        if (!strcmp(gdb->isa->debug_regs[i].name, name))
            return (int)i;
    return -1;
}

// ---- registers -----------------------------------------------------------------------------------------------------

static void put_reg(struct gdb *gdb, unsigned reg)
{
    uint8_t value[16] = {0};
    unsigned size = gdb->isa->debug_regs[reg].bits / 8;
    if (gdb->isa->debug_get(env_of(gdb), reg, value))
        gdb_put_hex(&gdb->reply, value, size);
    else
        gdb_put(&gdb->reply, "%.*s", (int)size * 2, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
}

static void on_read_regs(struct gdb *gdb, const char *args)
{
    for (unsigned i = 0; i < gdb->core_regs; i++)
        put_reg(gdb, i);
}

static void on_write_regs(struct gdb *gdb, const char *args)
{
    uint8_t value[16];
    for (unsigned i = 0; i < gdb->core_regs && *args; i++) {
        if (!gdb_get_bytes(&args, value, gdb->isa->debug_regs[i].bits / 8)) {
            gdb_error(gdb, GDB_E_ARGUMENT);
            return;
        }
        gdb->isa->debug_set(env_of(gdb), i, value);
    }
    gdb_ok(gdb);
}

static void on_read_reg(struct gdb *gdb, const char *args)
{
    uint64_t reg;
    if (gdb_get_u64(&args, &reg) && reg < gdb->isa->debug_reg_count)
        put_reg(gdb, (unsigned)reg);
    else
        gdb_error(gdb, GDB_E_ARGUMENT);
}

static void on_write_reg(struct gdb *gdb, const char *args)
{
    uint64_t reg;
    uint8_t value[16];
    if (gdb_get_u64(&args, &reg) && *args++ == '=' && reg < gdb->isa->debug_reg_count &&
        gdb_get_bytes(&args, value, gdb->isa->debug_regs[reg].bits / 8) &&
        gdb->isa->debug_set(env_of(gdb), (unsigned)reg, value))
        gdb_ok(gdb);
    else
        gdb_error(gdb, GDB_E_ARGUMENT);
}

// ---- memory --------------------------------------------------------------------------------------------------------

static bool physical_access(struct gdb *gdb, uint64_t pa, void *buf, size_t len, bool write)
{
    struct mem_space *mem = machine_mem(gdb->machine);
    const struct mem_range *range = mem_find(mem, (struct gpa){pa});
    if (!range || !range->ram)
        return false;
    return (write ? mem_write(mem, (struct gpa){pa}, buf, len, true)
                  : mem_read(mem, (struct gpa){pa}, buf, len, true)) == MEM_OK;
}

// The bytes before the first page that is not there.
static size_t access_memory(struct gdb *gdb, uint64_t va, uint8_t *buf, size_t len, bool write)
{
    size_t done = 0;
    while (done < len) {
        size_t part = MEM_PAGE_SIZE - ((va + done) & (MEM_PAGE_SIZE - 1));
        part = part < len - done ? part : len - done;
        bool ok;
        if (gdb->physical)
            ok = physical_access(gdb, va + done, buf + done, part, write);
        else if (write)
            ok = !accel_debug_write(gdb->accel, gdb->cpu, va + done, buf + done, part);
        else
            ok = !accel_debug_read(gdb->accel, gdb->cpu, va + done, buf + done, part);
        if (!ok)
            break;
        done += part;
    }
    return done;
}

static bool get_range(const char **at, uint64_t *ret_va, uint64_t *ret_len)
{
    return gdb_get_u64(at, ret_va) && *(*at)++ == ',' && gdb_get_u64(at, ret_len);
}

static void on_read_memory(struct gdb *gdb, const char *args)
{
    uint64_t va, len;
    uint8_t buf[GDB_PACKET_MAX / 2];
    if (!get_range(&args, &va, &len)) {
        gdb_error(gdb, GDB_E_ARGUMENT);
        return;
    }
    size_t n = access_memory(gdb, va, buf, len < sizeof buf ? len : sizeof buf, false);
    gdb_put_hex(&gdb->reply, buf, n);
    if (len && !n)
        gdb_error(gdb, GDB_E_MEMORY);
}

static void write_memory(struct gdb *gdb, uint64_t va, uint8_t *buf, size_t len)
{
    if (access_memory(gdb, va, buf, len, true) == len)
        gdb_ok(gdb);
    else
        gdb_error(gdb, GDB_E_MEMORY);
}

static void on_write_memory(struct gdb *gdb, const char *args)
{
    uint64_t va, len;
    uint8_t buf[GDB_PACKET_MAX / 2];
    if (get_range(&args, &va, &len) && *args++ == ':' && len <= sizeof buf && gdb_get_bytes(&args, buf, len))
        write_memory(gdb, va, buf, len);
    else
        gdb_error(gdb, GDB_E_ARGUMENT);
}

static void on_write_binary(struct gdb *gdb, const char *args)
{
    uint64_t va, len;
    if (!get_range(&args, &va, &len) || *args++ != ':') {
        gdb_error(gdb, GDB_E_ARGUMENT);
        return;
    }
    uint8_t *bytes = gdb->parser.data + (args - (const char *)gdb->parser.data);
    if (len == gdb->parser.len - (size_t)(bytes - gdb->parser.data))
        write_memory(gdb, va, bytes, len);
    else
        gdb_error(gdb, GDB_E_ARGUMENT);
}

// ---- break- and watchpoints ----------------------------------------------------------------------------------------

static bool is_break(const struct gdb_point *point)
{
    return point->type == GDB_SW_BREAK || point->type == GDB_HW_BREAK;
}

static unsigned point_access(const struct gdb_point *point)
{
    static const uint8_t access[GDB_POINT_TYPES] = {
        [GDB_WATCH_WRITE] = GUEST_W, [GDB_WATCH_READ] = GUEST_R, [GDB_WATCH_ACCESS] = GUEST_R | GUEST_W};
    return access[point->type];
}

const struct gdb_point *gdb_find_break(const struct gdb *gdb, uint64_t va)
{
    for (size_t i = 0; i < gdb->point_count; i++)
        if (is_break(&gdb->points[i]) && gdb->points[i].va == va)
            return &gdb->points[i];
    return NULL;
}

const struct gdb_point *gdb_find_watch(const struct gdb *gdb, uint64_t va, bool write, uint64_t *ret_va)
{
    const struct gdb_point *best = NULL;
    uint64_t nearest = 64; // how far behind va the watched bytes may begin: the widest access is DC ZVA's
    for (size_t i = 0; i < gdb->point_count; i++) {
        const struct gdb_point *p = &gdb->points[i];
        uint64_t distance = va - p->va < p->len ? 0 : p->va - va;
        if (is_break(p) || !(point_access(p) & (write ? GUEST_W : GUEST_R)) || distance >= nearest)
            continue;
        nearest = distance;
        best = p;
    }
    *ret_va = va + (best ? nearest : 0);
    return best;
}

static int apply(struct gdb *gdb, const struct gdb_point *point, bool insert)
{
    if (!is_break(point))
        return accel_watchpoint(gdb->accel, point->va, point->len, point_access(point), insert);
    return gdb_find_break(gdb, point->va) ? 0 : accel_breakpoint(gdb->accel, point->va, insert);
}

static struct gdb_point *find_same(struct gdb *gdb, const struct gdb_point *point)
{
    for (size_t i = 0; i < gdb->point_count; i++) {
        struct gdb_point *p = &gdb->points[i];
        if (p->type == point->type && p->va == point->va && p->len == point->len)
            return p;
    }
    return NULL;
}

static int insert_point(struct gdb *gdb, const struct gdb_point *point)
{
    if (find_same(gdb, point))
        return 0;
    if (gdb->point_count == GDB_POINTS_MAX)
        return -1;
    int r = apply(gdb, point, true);
    if (!r)
        gdb->points[gdb->point_count++] = *point;
    return r;
}

static int remove_point(struct gdb *gdb, const struct gdb_point *point)
{
    struct gdb_point *p = find_same(gdb, point), gone = *point;
    if (!p)
        return 0;
    *p = gdb->points[--gdb->point_count];
    return apply(gdb, &gone, false);
}

void gdb_remove_points(struct gdb *gdb)
{
    while (gdb->point_count)
        remove_point(gdb, &(struct gdb_point){gdb->points[0].type, gdb->points[0].va, gdb->points[0].len});
}

static void change_point(struct gdb *gdb, const char *args, int (*change)(struct gdb *, const struct gdb_point *))
{
    struct gdb_point point = {.type = (uint8_t)(*args - '0')};
    if (point.type >= GDB_POINT_TYPES)
        return; // the empty reply: no such kind
    args++;
    if (*args++ != ',' || !get_range(&args, &point.va, &point.len)) {
        gdb_error(gdb, GDB_E_ARGUMENT);
        return;
    }
    if (is_break(&point)) {
        point.len = 0; // the breakpoint's kind, which means nothing here
    } else {
        point.va = gdb->isa->canonical(env_of(gdb), point.va);
        if (!point.len || point.va + (point.len - 1) < point.va) {
            gdb_error(gdb, GDB_E_ARGUMENT);
            return;
        }
    }
    if (change(gdb, &point))
        gdb_error(gdb, GDB_E_ROOM);
    else
        gdb_ok(gdb);
}

static void on_insert_point(struct gdb *gdb, const char *args)
{
    change_point(gdb, args, insert_point);
}

static void on_remove_point(struct gdb *gdb, const char *args)
{
    change_point(gdb, args, remove_point);
}

const struct gdb_command gdb_data_commands[] = {
    {"g", true, on_read_regs},
    {"G", false, on_write_regs},
    {"p", false, on_read_reg},
    {"P", false, on_write_reg},
    {"m", false, on_read_memory},
    {"M", false, on_write_memory},
    {"X", false, on_write_binary},
    {"Z", false, on_insert_point},
    {"z", false, on_remove_point},
    {NULL},
};
