// SPDX-License-Identifier: MIT
// Owns the general query packets: what we support, threads by name, the registers' description, what GDB and LLDB ask
// about the host and process, and QEMU's switch to guest-physical memory.
#include "control/gdb/gdb_internal.h"

#include <string.h>

// Whether the ;-separated list has this word.
static bool lists(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = list; at; at = strchr(at, ';') ? strchr(at, ';') + 1 : NULL)
        if (!strncmp(at, word, n) && (!at[n] || at[n] == ';'))
            return true;
    return false;
}

static void on_supported(struct gdb *gdb, const char *args)
{
    const char *list = *args == ':' ? args + 1 : args;
    gdb->multiprocess = lists(list, "multiprocess+");
    gdb->swbreak = lists(list, "swbreak+");
    gdb->hwbreak = lists(list, "hwbreak+");
    gdb_put(&gdb->reply, "PacketSize=%x;qXfer:features:read+;vContSupported+;QStartNoAckMode+;multiprocess+;"
                         "swbreak+;hwbreak+", GDB_PACKET_MAX);
}

static void on_no_ack(struct gdb *gdb, const char *args)
{
    gdb->no_ack_next = true; // this packet is still acknowledged
    gdb_ok(gdb);
}

static void on_attached(struct gdb *gdb, const char *args)
{
    gdb_put(&gdb->reply, "1");
}

static void on_current_thread(struct gdb *gdb, const char *args)
{
    gdb_put(&gdb->reply, "QC");
    gdb_put_thread(gdb, gdb->cpu);
}

// A reply holds some of the threads, the next query gets more of them.
static void on_more_threads(struct gdb *gdb, const char *args)
{
    enum { THREADS_A_REPLY = 128 };
    unsigned first = gdb->list_at;
    while (gdb->list_at < gdb->cpu_count && gdb->list_at - first < THREADS_A_REPLY) {
        gdb_put(&gdb->reply, gdb->list_at == first ? "m" : ",");
        gdb_put_thread(gdb, gdb->list_at++);
    }
    if (gdb->list_at == first)
        gdb_put(&gdb->reply, "l");
}

static void on_threads(struct gdb *gdb, const char *args)
{
    gdb->list_at = 0;
    on_more_threads(gdb, args);
}

static void on_thread_info(struct gdb *gdb, const char *args)
{
    enum gdb_thread_kind kind;
    unsigned cpu;
    char text[64];
    if (!gdb_get_thread(gdb, &args, &kind, &cpu) || kind != GDB_THREAD_ONE) {
        gdb_error(gdb, GDB_E_ARGUMENT);
        return;
    }
    int n = snprintf(text, sizeof text, "CPU#%u [%s]", cpu, accel_cpu_on(gdb->accel, cpu) ? "on" : "off");
    gdb_put_hex(&gdb->reply, text, (size_t)n);
}

static void on_features(struct gdb *gdb, const char *args)
{
    static const char annex[] = "target.xml:";
    uint64_t at, len;
    const char *p = args + sizeof annex - 1;
    if (strncmp(args, annex, sizeof annex - 1)) {
        gdb_put(&gdb->reply, "E00");
        return;
    }
    if (!gdb_get_u64(&p, &at) || *p++ != ',' || !gdb_get_u64(&p, &len)) {
        gdb_error(gdb, GDB_E_ARGUMENT);
        return;
    }
    at = at < gdb->xml_len ? at : gdb->xml_len;
    len = len < gdb->xml_len - at ? len : gdb->xml_len - at;
    gdb_put(&gdb->reply, "m");
    for (; len && gdb_put_binary(&gdb->reply, (uint8_t)gdb->xml[at]); len--)
        at++;
    gdb->reply.data[0] = at == gdb->xml_len ? 'l' : 'm';
}

static void put_triple(struct gdb *gdb)
{
    char triple[64];
    int n = snprintf(triple, sizeof triple, "%s-unknown-unknown", gdb->isa->ir.name);
    gdb_put(&gdb->reply, "triple:");
    gdb_put_hex(&gdb->reply, triple, (size_t)n);
    gdb_put(&gdb->reply, ";ptrsize:8;endian:little;");
}

// Watchpoints are met before the access takes place.
static void on_host_info(struct gdb *gdb, const char *args)
{
    put_triple(gdb);
    gdb_put(&gdb->reply, "watchpoint_exceptions_received:before;");
}

static void on_process_info(struct gdb *gdb, const char *args)
{
    gdb_put(&gdb->reply, "pid:1;");
    put_triple(gdb);
}

static void on_watch_info(struct gdb *gdb, const char *args)
{
    gdb_put(&gdb->reply, "num:32;");
}

static void on_symbols(struct gdb *gdb, const char *args)
{
    gdb_ok(gdb);
}

static void on_memory_mode(struct gdb *gdb, const char *args)
{
    gdb_put(&gdb->reply, gdb->physical ? "1" : "0");
}

static void on_set_memory_mode(struct gdb *gdb, const char *args)
{
    if ((args[0] != '0' && args[0] != '1') || args[1]) {
        gdb_error(gdb, GDB_E_ARGUMENT);
        return;
    }
    gdb->physical = args[0] == '1';
    gdb_ok(gdb);
}

static void on_command(struct gdb *gdb, const char *args)
{
    char line[1024] = {0};
    size_t len = strlen(args) / 2;
    if (len >= sizeof line || !gdb_get_bytes(&args, line, len) || *args) {
        gdb_error(gdb, GDB_E_ARGUMENT);
        return;
    }
    gdb_monitor(gdb, line);
    gdb_reply_clear(&gdb->reply);
    gdb_ok(gdb);
}

const struct gdb_command gdb_query_commands[] = {
    {"qSupported", false, on_supported},
    {"QStartNoAckMode", true, on_no_ack},
    {"qXfer:features:read:", false, on_features},
    {"qAttached", false, on_attached},
    {"qC", true, on_current_thread},
    {"qfThreadInfo", true, on_threads},
    {"qsThreadInfo", true, on_more_threads},
    {"qThreadExtraInfo,", false, on_thread_info},
    {"qHostInfo", true, on_host_info},
    {"qProcessInfo", true, on_process_info},
    {"qWatchpointSupportInfo", true, on_watch_info},
    {"qSymbol", false, on_symbols},
    {"qqemu.PhyMemMode", true, on_memory_mode},
    {"Qqemu.PhyMemMode:", false, on_set_memory_mode},
    {"qRcmd,", false, on_command},
    {NULL},
};
