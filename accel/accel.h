// SPDX-License-Identifier: MIT
// Running vCPUs: the interface of accelerators to boards and the control layer.
//
// An accel owns N vCPUs of one guest ISA over one memory space, one host thread each. Threads: create, start and
// destroy from the main thread; calls marked (any) from anywhere; calls marked (stopped) only while the machine is
// stopped by accel_pause. Nothing here takes the machine lock; callers of accel_pause must not hold it.
#ifndef ACCEL_ACCEL_H
#define ACCEL_ACCEL_H

#include "accel/guest_isa.h"
#include "accel/technique.h"
#include "mem/mem.h"

struct accel;
struct backend_ops;
struct optimiser_ops;

enum accel_engine { ACCEL_INTERPRETER, ACCEL_JIT, ACCEL_LOCKSTEP };
// What becomes of hot code: nothing; regions, compiled in the background where an optimiser is found; regions at once,
// early, and while the vCPU waits (for tests).
enum accel_tier { ACCEL_TIER_FAST, ACCEL_TIER_AUTO, ACCEL_TIER_OPT };

// What the machine learns from its vCPUs. Called on vCPU threads without locks; must not block.
struct accel_events {
    void *opaque;
    void (*stopped)(void *opaque, unsigned cpu, int reason); // enum accel_stop: the vCPU is parked
};
enum accel_stop { ACCEL_STOP_BREAKPOINT, ACCEL_STOP_WATCHPOINT, ACCEL_STOP_STEP, ACCEL_STOP_LOCKSTEP_DIFFERENCE };

struct accel_config {
    enum accel_engine engine;
    const struct backend_ops *backend; // host backend, needed by all but the interpreter
    const struct guest_isa *isa;
    struct mem_space *mem;
    const struct log *log;
    unsigned cpu_count;
    const struct guest_cpu_config *cpus; // cpu_count of them, copied
    size_t code_cache_size;              // bytes, 0 = default
    enum accel_tier tier;
    const struct optimiser_ops *optimiser; // NULL: the module beside the program, if it is there
    bool one_pass_regions;               // let the backend compile regions, for tests without an optimiser
    uint64_t host_feature_mask;          // backend features allowed
    bool exact_exclusives;               // see accel/jit/monitor.c; needs ACCEL_TIER_FAST
    bool perf_map;                       // write /tmp/perf-PID.map
    uint32_t without;                    // 1 << enum accel_technique each: what to do without
    struct accel_events events;
};

int accel_create(const struct accel_config *config, struct accel **ret_accel, struct error *err);
void accel_destroy(struct accel *accel); // stops and joins the threads

// vCPUs are created powered off and paused. start powers one on at entry (its reset state plus start_at); off parks it
// for good until the next start. Both (any), asynchronous. accel_cpu_on answers whether it is powered.
int accel_cpu_start(struct accel *accel, unsigned cpu, uint64_t entry, uint64_t arg); // -EALREADY when on
void accel_cpu_off(struct accel *accel, unsigned cpu);
bool accel_cpu_on(const struct accel *accel, unsigned cpu);

// (any) the host's number of the vCPU's thread, for tools that pin it or measure it.
int accel_cpu_thread(const struct accel *accel, unsigned cpu);

// (any) the number of the vCPU whose thread this is, or -1.
int accel_current_cpu(const struct accel *accel);

// Pause parks every vCPU at a safepoint and waits for it; resume lets them run. Counted: each pause needs its resume.
// The machine begins paused once.
void accel_pause(struct accel *accel);
void accel_resume(struct accel *accel);
// (stopped) all vCPUs back to powered-off reset state, TLBs and code dropped where needed.
void accel_reset(struct accel *accel);

// (any) an interrupt input of a vCPU.
void accel_set_irq(struct accel *accel, unsigned cpu, enum vcpu_irq irq, bool level);

// (any) Guest RAM was written or the map changed behind the vCPUs' back.
void accel_code_written(struct accel *accel, struct mem_ram *ram, uint64_t offset, uint64_t len);
void accel_memory_map_changed(struct accel *accel, const struct mem_view *old_view); // waits, then frees old_view

// (any, without the machine lock; may wait for vCPUs) Takes from translated code the right to write pages of RAM unseen:
// afterwards each page that a vCPU writes has its mem_ram.dirty set, after the write or before more than one is made.
void accel_withdraw_writes(struct accel *accel);

// (stopped) The architectural state of a vCPU in its snapshot form: records {u32 register number, u8 bytes, 3 bytes of
// zero, value}, little-endian, always of the same size. save fills accel_cpu_state_size bytes. load takes any bytes:
// -EINVAL and a sentence for what is not the state of such a vCPU, which is then in reset state. What the vCPU had
// cached is dropped; the state of its interrupt inputs comes from the devices that drive them.
size_t accel_cpu_state_size(const struct accel *accel, unsigned cpu);
void accel_cpu_save(struct accel *accel, unsigned cpu, uint8_t *buf);
int accel_cpu_load(struct accel *accel, unsigned cpu, const uint8_t *data, size_t size, struct error *err);

// Debugger, (stopped). Addresses are guest virtual as the vCPU sees them.
struct ir_env *accel_env(struct accel *accel, unsigned cpu);
int accel_debug_read(struct accel *accel, unsigned cpu, uint64_t va, void *buf, size_t len);
int accel_debug_write(struct accel *accel, unsigned cpu, uint64_t va, const void *buf, size_t len);
int accel_breakpoint(struct accel *accel, uint64_t va, bool insert);
int accel_watchpoint(struct accel *accel, uint64_t va, uint64_t len, unsigned access, bool insert);
// The next resume runs exactly one instruction on cpu (others stay parked, interrupts wait, WFI does not), then reports
// ACCEL_STOP_STEP. A breakpoint at that instruction is passed over. Pauses before it ran do not change that, cancel does.
void accel_step(struct accel *accel, unsigned cpu);
void accel_cancel_step(struct accel *accel);
// From the next resume until the next stop for the debugger, or cancel, only cpu runs.
void accel_run_only(struct accel *accel, unsigned cpu);
// After ACCEL_STOP_WATCHPOINT of cpu: the first byte of the access (canonical), which has not taken place, and its kind.
void accel_watch_hit(struct accel *accel, unsigned cpu, uint64_t *ret_va, enum guest_access *ret_access);

// Prints counters ("info jit"): units, links, TLB refills, walks, exits by cause, time translating.
void accel_print_stats(struct accel *accel, FILE *out);

#endif
