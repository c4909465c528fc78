// SPDX-License-Identifier: MIT
// Private to control/gdb: the state of the stub, and which file serves which packets.
//
//   stub.c   the connection, what the machine tells us, dispatch     run.c        resuming, stop replies, threads
//   data.c   registers, memory, break- and watchpoints               query.c      q and Q packets
//   packet.c framing                                                 target_xml.c the registers' description
//   monitor.c the debugger's "monitor" command
//
// Invariant: a packet is served only while the vCPUs are parked; one that comes while they run is held until they are.
#ifndef CONTROL_GDB_GDB_INTERNAL_H
#define CONTROL_GDB_GDB_INTERNAL_H

#include "base/types.h"
#include "control/gdb/gdb.h"
#include "control/gdb/packet.h"
#include "host/chardev.h"
#include "machines/machine.h"

enum { GDB_POINTS_MAX = 512, GDB_PENDING_MAX = 4096 };

// GDB's own signal numbers.
enum { GDB_SIGNAL_INT = 2, GDB_SIGNAL_TRAP = 5 };
// Error numbers of replies: GDB shows them and asks no more.
enum { GDB_E_PROTOCOL = 0x01, GDB_E_MEMORY = 0x0e, GDB_E_ARGUMENT = 0x16, GDB_E_ROOM = 0x1c };

enum gdb_point_type { GDB_SW_BREAK, GDB_HW_BREAK, GDB_WATCH_WRITE, GDB_WATCH_READ, GDB_WATCH_ACCESS, GDB_POINT_TYPES };
struct gdb_point {
    uint8_t type; // enum gdb_point_type, as in Z packets
    uint64_t va, len;
};

struct gdb {
    struct gdb_config config;
    struct machine *machine;
    struct accel *accel;
    const struct guest_isa *isa;
    unsigned cpu_count;
    struct machine_listener listener;

    uint8_t pending[GDB_PENDING_MAX]; // bytes not yet parsed
    size_t pending_at, pending_len;
    struct gdb_parser parser;
    bool held; // parser holds a packet that waits for the machine to stop
    struct gdb_reply reply;
    bool no_reply; // set by a packet's handler: nothing is sent now
    uint8_t frame[GDB_FRAME_MAX];
    size_t frame_len; // last one sent, for a repetition

    bool connected, no_ack, no_ack_next;
    bool multiprocess, swbreak, hwbreak; // what the debugger understands
    bool resumed;    // by the debugger, whom we owe a stop reply
    bool stop_asked; // we asked the machine to stop and have not yet heard
    bool borrowed;   // stopped only to serve a packet: to be continued afterwards
    bool interrupt;  // Ctrl-C came before the machine ran
    bool dropping;   // debugger gone while running: stop, remove its points, go on

    unsigned cpu;      // of registers and memory, by Hg
    unsigned stop_cpu; // of the last stop
    int stop_signal;
    const char *stop_point; // "watch", "hwbreak" ...; NULL: none
    bool stop_has_va;       // stop_va is the address a watchpoint met
    uint64_t stop_va;
    bool physical;          // m, M and X take guest-physical addresses
    unsigned list_at;       // next of qsThreadInfo
    struct gdb_point points[GDB_POINTS_MAX];
    size_t point_count;

    unsigned core_regs; // registers of the g packet: those of GDB's own features, first in the table
    char *xml;          // target.xml
    size_t xml_len;
};

// A row of the dispatch tables: what stands behind the prefix is passed as args.
struct gdb_command {
    const char *prefix;
    bool whole; // nothing may follow the prefix
    void (*serve)(struct gdb *gdb, const char *args);
};
extern const struct gdb_command gdb_run_commands[], gdb_data_commands[], gdb_query_commands[]; // ended by {NULL}

// ---- stub.c
void gdb_send(struct gdb *gdb); // gdb->reply as a packet
void gdb_ok(struct gdb *gdb);
void gdb_error(struct gdb *gdb, unsigned code);

// ---- run.c
enum gdb_thread_kind { GDB_THREAD_ONE, GDB_THREAD_ANY, GDB_THREAD_ALL };
bool gdb_get_thread(const struct gdb *gdb, const char **at, enum gdb_thread_kind *ret_kind, unsigned *ret_cpu);
void gdb_put_thread(struct gdb *gdb, unsigned cpu);
void gdb_note_stop(struct gdb *gdb, const struct machine_event *event);
void gdb_put_stop(struct gdb *gdb);

// ---- data.c
void gdb_remove_points(struct gdb *gdb);
const struct gdb_point *gdb_find_break(const struct gdb *gdb, uint64_t va);
// The watchpoint an access at va met, and the first watched byte of it.
const struct gdb_point *gdb_find_watch(const struct gdb *gdb, uint64_t va, bool write, uint64_t *ret_va);
int gdb_find_reg(const struct gdb *gdb, const char *name); // -1: none

// ---- target_xml.c, monitor.c
unsigned gdb_count_core_regs(const struct guest_isa *isa);
int gdb_make_xml(const struct guest_isa *isa, char **ret_xml, size_t *ret_len);
void gdb_monitor(struct gdb *gdb, const char *line);

#endif
