// SPDX-License-Identifier: MIT
// Private to accel/jit: the data of an accelerator, its vCPUs and its units, and which file owns what.
//
//   accel.c     create, threads, pause and resume, power, interrupt inputs        run.c       the dispatch loop
//   safepoint.c requests to vCPUs and waiting for them                            units.c     unit table, links
//   tlb.c       the tagged TLB of a vCPU                                          context.c   inline tables, pages of code
//   access.c    slow paths of guest memory                                        code_write.c stores into code
//   carry.c     code that outlives a flush, or comes from another context
//   cpu_state.c vCPUs' state for snapshots
//   debug.c     breakpoints, watchpoints, debugger memory                         stats.c     counters
//   lockstep.c  compiled code against the interpreter
//   heat.c      counting executions, asking for regions                           queue.c     what waits to be compiled
//   sample.c    where time goes, and which pages count
//   tier.c      the thread that has regions compiled (tier.h)                     make.c      making and installing one
//   region.c    what belongs to a region      pool.c  memory of their code        module.c    loading the optimiser
//
// Locks, in order: accel.lock (threads' state) > jit.translate_lock (translation, code buffer, eviction) > jit.lock (unit
// table, page lists, links) > vcpu.lock (its queue and sleep). translate_lock is taken only at a safepoint, so its holder
// may wait for other vCPUs; nobody waits for a vCPU while holding one of the others.
#ifndef ACCEL_JIT_JIT_H
#define ACCEL_JIT_JIT_H

#include "accel/accel.h"
#include "accel/guest_api.h"
#include "accel/jit/region.h"
#include "backends/backend.h"
#include "ir/opt/passes.h"

#include <pthread.h>

// ---- translations ------------------------------------------------------------------------------------------------

enum { TLB_SETS = 1024, TLB_WAYS = 4, TLB_ASIDS = 1 << 16, TLB_WALKS = 256, FILTER_BITS = 1 << 14 };

// Where mappings of some kind may be: a Bloom filter over va >> 21, and over va >> 30 for those of 1 GiB and more.
struct tlb_filter {
    uint64_t bits[FILTER_BITS / 64], huge;
};

struct tlb_entry {
    struct guest_mapping map; // of the whole guest page
    uint32_t asid_gen;        // live while equal to tlb.asid_gen[asid] where the mapping is not global
    uint32_t all_gen;
};

struct tlb {
    // A set is looked through by its tags, which share a cache line: va with page_bits in the low bits, 0 when not valid.
    struct tlb_set {
        _Alignas(64) uint64_t tags[TLB_WAYS];
        struct tlb_entry ways[TLB_WAYS];
    } sets[TLB_SETS];
    uint8_t next_way[TLB_SETS];
    uint64_t sizes;      // bit n: an entry of page_bits n may be live
    // What inline tables may hold since the last invalidation of everything: several entries of one mapping larger than
    // 4 KiB; and what every ASID sees.
    struct tlb_filter large, global;
    uint32_t all_gen;
    uint32_t *asid_gen; // TLB_ASIDS of them
    struct tlb_walk {
        struct guest_walk_step step;
        uint64_t digest; // of the context, whose roots are step.root
        uint32_t asid, gen;
    } walks[TLB_WALKS]; // live while of walk_gen
    uint32_t walk_gen;  // 1 at first
};

// What a virtual page comes to, after permission checks.
struct xlat {
    uint8_t *host;                 // of the first byte accessed, NULL for MMIO
    const struct mem_range *range; // what is there
    uint64_t offset;               // of the first byte in *range
    const struct guest_mapping *map;
    bool write_ok;  // host may be written without telling anyone
};

enum { CONTEXTS = 24 };
// INLINE_GROWN: entries beyond INLINE_ENTRIES that all tables of a vCPU may have together.
enum { INLINE_ENTRIES = 4096, INLINE_MAX = 32768, INLINE_GROWN = 8 * INLINE_MAX, INLINE_LIST = 512,
       EXEC_LIST = 512 };

// One inline table. It grows in place when filling it displaces more pages than it has entries, and is halved when it is
// emptied with less than a quarter used. What has been filled since
// it was emptied is listed, so that emptying it again costs what was used of it.
struct inline_table {
    struct ir_tlb_entry *entries; // room for INLINE_MAX, NULL until used
    _Atomic uint32_t size;        // entries in use: a power of two
    uint32_t displaced;           // live entries overwritten since the table was emptied
    uint32_t filled;              // empty entries filled since then; above INLINE_LIST any entry may be live
    uint16_t list[INLINE_LIST];   // their indices; an entry not in it is empty
};

// A translation context: caches of what virtual addresses mean under one struct guest_context.
struct context {
    struct guest_context id;
    bool live, stale; // stale: flush before the next use
    uint64_t last_use;
    struct inline_table tables[IR_MMU_INDICES];
    struct ir_exec_page *exec_pages; // IR_EXEC_PAGES: pages of code that may be executed, and lead to the memory of their table
    uint32_t exec_filled;            // empty ones filled since all were emptied; above EXEC_LIST any may be live
    uint16_t exec_list[EXEC_LIST];   // their indices; one not in it is empty
};

// ---- vCPUs ---------------------------------------------------------------------------------------------------------

enum vcpu_request {
    REQ_PARK = 1 << 0,  // paused, powered off or quitting: look at the flags under accel.lock
    REQ_IRQ = 1 << 1,   // interrupt inputs or masks changed
    REQ_TLBI = 1 << 2,  // the queue holds remote invalidations
    REQ_CODE = 1 << 3,  // tables of units went, or nothing may be found in them: forget pages of code, which
                        // are not to be used before that
    REQ_SAFE = 1 << 4,  // someone waits for a safepoint
    REQ_SAMPLE = 1 << 5, // say where you are; wakes nobody
};

// Whether a vCPU may hold host addresses, or return addresses in translated code.
enum vcpu_whereabouts { VCPU_OUTSIDE, VCPU_IN_CODE, VCPU_WAITS_IN_HELPER };

// What a vCPU does, for samples: waits or is parked; runs the dispatcher; runs units or what they call.
enum vcpu_activity { VCPU_SLEEPS, VCPU_AWAKE, VCPU_IN_UNITS };

enum { TLBI_QUEUE = 32, MAX_WATCH = 32 };

struct vcpu_stats {
    uint64_t enters, lookups, translations, exits[IR_EXIT_COUNT], fills, walks, slow_loads, slow_stores, mmio, context_switches,
        context_misses, flushes, interrupts, faults;
};

struct vcpu {
    struct accel *accel;
    struct ir_env *env;
    unsigned index;
    pthread_t thread;
    bool thread_started;
    _Atomic int thread_id; // the host's

    _Atomic uint32_t requests; // enum vcpu_request
    _Atomic uint32_t in_code;  // enum vcpu_whereabouts
    _Atomic uint64_t safe_seq; // counts safepoints passed
    _Atomic uint64_t outside_seq; // counts those passed outside translated code
    _Atomic uint32_t event;    // WFE's event register
    _Atomic uint32_t activity; // enum vcpu_activity
    _Atomic uint64_t sampled;  // ns that the sample asked for stands for

    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct guest_tlbi queue[TLBI_QUEUE]; // remote invalidations
    unsigned queue_len;                  // TLBI_QUEUE + 1: overflowed, drop everything

    // under accel.lock
    bool powered, start_pending, off_pending, parked;
    uint64_t start_entry, start_arg;
    uint32_t yields; // ever; its own thread only
    bool step;

    _Atomic uintptr_t monitor; // monitor.c: host address of the granule marked, 0 none

    // own thread only
    struct guest_fault fault;
    struct mem_rom *rom; // of a fault AGAIN
    struct tlb *tlb;
    struct context contexts[CONTEXTS];
    struct context *context;
    uint32_t inline_grown;           // entries beyond INLINE_ENTRIES of all tables
    bool context_pending;            // control registers are ahead of context
    struct guest_mapping loose;      // what a walk found that is not to be kept
    uint64_t use_clock;
    unsigned carries; // counts context_carry
    bool tlbi_outstanding; // broadcasts not yet waited for
    struct vcpu_watch watch[VCPU_WATCH_OWNERS][MAX_WATCH];
    unsigned watch_count[VCPU_WATCH_OWNERS];
    bool watch_any;
    union ir_value *slots; // interpreter's, IR_MAX_INSNS
    struct lockstep *lockstep; // NULL in other modes
    struct vcpu_stats stats;
};

// ---- units ---------------------------------------------------------------------------------------------------------

// What samples say about a page's units of one key; sample.c, jit.lock.
struct page_heat {
    uint32_t key, weight;
    uint64_t at;        // ns: until when the weight was aged
    bool counts;        // units of the key that are made now count
    bool made;          // a region came of that
    uint64_t since;     // ns: when that began
    uint64_t most;      // executions of one unit since then
    uint64_t lines;     // of 64 bytes, that samples fell in which made it count
    struct {
        uint32_t until; // ms: samples there do not matter
        uint32_t step;  // how long it was last made quiet for
    } quiet[MEM_PAGE_SIZE >> MEM_CODE_LINE_BITS];
};

// What ir_exec_page.entries is: the units of one page under one key. Kept until jit.tables is full, when all go with all
// units.
struct code_table {
    struct code_page *page;
    uint32_t key;
    _Atomic uint32_t *entries; // IR_CODE_SLOTS
    struct code_table *next;   // of the page
};

struct code_page {
    uint8_t *host; // key: host address of the page
    struct mem_ram *ram;
    uint64_t ram_page; // page number in ram
    struct unit *units;
    struct code_table *tables;
    uint64_t changes;       // counts invalidations, so that a translation under way notices one
    unsigned region_deaths; // regions that stores killed
    struct page_heat heat;
    struct code_page *next; // hash chain
};

// What a unit that is a region has besides. It is found in the place of an ordinary unit, which stays for the sake of
// the region's fallback and comes back when the region goes.
struct unit_region {
    struct unit *stands_for;
    const void *fallback;  // code of stands_for, read by the region
    void *handle;          // the optimiser's, NULL when the region's code is in a chunk of the code buffer
    size_t code_size;
    unsigned fallbacks;    // how often stands_for got hot although the region was there
    uint64_t fallback_at;  // ns: when it last did
    unsigned part_count;
    struct region_part parts[REGION_PARTS]; // bytes of the page it was made from
};

struct unit {
    const void *entry; // host code; for the interpreter, not NULL
    const uint8_t *host_page; // with key and offset: what the hash table finds it by
    uint32_t key, offset, bytes;
    _Atomic bool dead; // not in the table any more; memory lives until its chunk is recycled
    struct unit *_Atomic hidden_by; // the region that is found in its place
    struct unit_region *region;     // NULL for ordinary units
    bool only_behind;               // made to stand behind a region, dies with it
    int32_t heat, heat_start;       // counted down by its code (atomic), from where
    uint64_t heat_past;             // counted before; jit.lock
    struct code_page *page;
    struct code_table *table; // NULL for the interpreter
    struct unit *_Atomic next_hash; // readers take no lock: a unit's memory outlives their stay in code
    struct unit *next_in_page, *next_in_chunk;
    struct backend_exit *incoming; // linked exits that lead here
    struct ir_unit *ir;            // kept for the interpreter and lock-step, else NULL
    uint32_t exit_count;
    struct backend_exit exits[];
};

enum { UNIT_HASH = 1 << 18, PAGE_HASH = 1 << 14, CODE_CHUNKS = 8, UNIT_INSNS = 64 };

enum { CODE_TABLES = 1 << 16, CODE_TABLE_SIZE = IR_CODE_SLOTS * 4 };
enum { REGION_POOL = 64 << 20, CODE_HUGE = 2 << 20, CODE_MAX = 1 << 30 };

struct jit {
    pthread_mutex_t translate_lock, lock;
    const struct backend_ops *ops; // NULL: interpreter
    struct backend *backend;
    struct code_buffer code;
    size_t code_base;     // bytes of trampoline and thunks at the start
    unsigned chunk;       // being filled
    struct unit *chunk_units[CODE_CHUNKS];
    _Atomic uint64_t evictions; // counted when the units of a chunk are dead
    struct unit *_Atomic hash[UNIT_HASH];
    struct code_page *pages[PAGE_HASH];
    _Atomic uint32_t *tables; // address space for CODE_TABLES of IR_CODE_SLOTS
    uint32_t tables_used;
    uint32_t miss;            // offset in the code of the backend's stubs.miss
    uint64_t flushes;
    void *code_room;        // the address space of all code
    void *pool_memory;      // the part for regions' code, behind the code buffer
    uint64_t huge[CODE_MAX / CODE_HUGE / 64]; // pieces of the buffer for which large host pages were asked
    struct tier *tier;      // NULL: nothing is sampled or counted
    struct ir_unit scratch; // being translated
    struct ir_opt opt;
    uint64_t units_made, units_killed, links_made, guest_bytes, translate_ns;
    FILE *perf_map;
};

struct accel {
    struct accel_config config;
    const struct guest_isa *isa;
    struct ir_guest guest; // what units are built for: isa->ir, its helpers wrapped under lock-step
    struct mem_space *mem;
    const struct log *log;
    unsigned cpu_count;
    bool crowded;      // far more vCPUs than the host has processors
    struct vcpu *cpus; // cpu_count
    struct jit jit;

    pthread_mutex_t lock;
    pthread_cond_t changed; // a vCPU parked, or may unpark
    unsigned pause_count;
    bool quit;
    int step_cpu; // -1, or the only vCPU that may run

    // per page of RAM: 0 never write-mapped, 1 at several addresses, else its virtual page | 2
    struct write_map {
        struct mem_ram *ram;
        _Atomic uint64_t *va;
    } write_maps[8];
    unsigned write_map_count;

    atomic_bool monitor_locks[256]; // monitor.c, by granule

    _Atomic(uint64_t *) breakpoints; // sorted, first word is the count; NULL when there are none
};

static inline struct vcpu *vcpu_of(const struct ir_env *env)
{
    return (struct vcpu *)env->vcpu;
}

// ---- monitor.c: nothing without exact exclusives -------------------------------------------------------------------
// Around an access of up to 64 bytes by a vCPU to RAM that must be one step for others' exclusives.
void monitor_enter(struct accel *accel, const uint8_t *host, unsigned size);
void monitor_leave(struct accel *accel, const uint8_t *host, unsigned size);
// len bytes were written by self, which is between the two above, or by somebody who is no vCPU (NULL; any thread).
void monitor_written(struct accel *accel, const struct vcpu *self, const uint8_t *host, uint64_t len);
// Between the two: a load-exclusive marks; a store-exclusive uses the mark up, false if there was none.
void monitor_mark(struct vcpu *vcpu, const uint8_t *host);
bool monitor_use(struct vcpu *vcpu, const uint8_t *host);

// ---- safepoint.c ---------------------------------------------------------------------------------------------------
// Any thread: sets request bits and makes the vCPU leave translated code or its sleep.
void vcpu_request(struct vcpu *vcpu, uint32_t bits);
// Waits until every vCPU but self (NULL: none excepted) has passed a safepoint since the call. self counts as at one.
void safepoint_wait(struct accel *accel, struct vcpu *self);
// Waits until every vCPU but self has been outside translated code since the call, not even waiting in a helper called
// from there. self is outside. Waiting in helpers ends without translate_lock, so its holder may call this.
void safepoint_wait_outside(struct accel *accel, const struct vcpu *self);
void vcpu_enter_code(struct vcpu *vcpu); // after this the vCPU is in code unless requests are set
void vcpu_leave_code(struct vcpu *vcpu);

// ---- tlb.c ---------------------------------------------------------------------------------------------------------
int tlb_create(struct tlb **ret_tlb);
void tlb_destroy(struct tlb *tlb);
bool tlb_maybe_large(const struct tlb *tlb, uint64_t va);
bool tlb_maybe_global(const struct tlb *tlb, uint64_t va);
const struct guest_mapping *tlb_find(const struct tlb *tlb, uint64_t va, uint32_t asid);
const struct guest_mapping *tlb_insert(struct tlb *tlb, const struct guest_mapping *map);
void tlb_invalidate(struct tlb *tlb, const struct guest_tlbi *tlbi);
bool tlb_walk_find(const struct tlb *tlb, const struct guest_context *context, uint64_t root, uint64_t va,
                   struct guest_walk_step *ret_step);
void tlb_walk_keep(struct tlb *tlb, const struct guest_context *context, const struct guest_walk_step *step);

// ---- context.c -----------------------------------------------------------------------------------------------------
void context_switch(struct vcpu *vcpu);                              // to what the control registers say now
void context_invalidate(struct vcpu *vcpu, const struct guest_tlbi *tlbi); // inline tables and pages of code
void context_forget_code(struct vcpu *vcpu);                         // all pages of code
void context_forget_all(struct vcpu *vcpu);
void context_forget_writes(struct vcpu *vcpu, const struct mem_ram *ram, uint64_t page, uint64_t va_hint);
void context_forget_all_writes(struct vcpu *vcpu); // any thread, as the one above
void context_free(struct vcpu *vcpu);
void context_empty(struct vcpu *vcpu, struct context *ctx); // its inline tables and its pages of code
// The entry for va in the context in use, to be filled: it counts as live from now on. May grow the table.
struct ir_tlb_entry *context_entry(struct vcpu *vcpu, unsigned mmu, uint64_t va);
static inline struct ir_tlb_entry *inline_slot(const struct inline_table *t, uint64_t va)
{
    return &t->entries[(va >> IR_PAGE_BITS) & (atomic_load(&t->size) - 1)];
}
// carry.c: the best older context to take code from, or NULL; and emptying `to`, the context in use, but for code that it
// has in common with from, which may be `to` itself.
const struct context *context_donor(const struct vcpu *vcpu, const struct context *to);
void context_carry(struct vcpu *vcpu, struct context *to, const struct context *from);
// From now on code finds the units of table at that page.
void context_note_exec(struct context *ctx, uint64_t page, const struct code_table *table);

// ---- access.c ------------------------------------------------------------------------------------------------------
static inline bool accel_without(const struct accel *accel, enum accel_technique technique)
{
    return accel->config.without >> technique & 1;
}

extern const struct ir_runtime jit_runtime;
// Translates and checks permission; fills the inline table where it may. false: vcpu.fault is set.
bool access_translate(struct vcpu *vcpu, uint64_t va, enum guest_access access, unsigned mmu, struct xlat *ret);
void vcpu_drain_tlbi(struct vcpu *vcpu);
// After a fault AGAIN, by the dispatcher: waits until no vCPU reads the ROM device unseen. Outside code meanwhile.
void vcpu_rom_leaves_plain(struct vcpu *vcpu);
// Up to 16 bytes from and to guest RAM that others write at the same time.
void access_load_host(uint8_t *to, const uint8_t *host, unsigned size);
void access_store_host(uint8_t *host, const uint8_t *from, unsigned size);
// The mapping of va from the tagged TLB or a table walk, without a permission check. NULL: vcpu.fault is set.
const struct guest_mapping *access_mapping(struct vcpu *vcpu, uint64_t va, enum guest_access access, unsigned mmu);

// ---- code_write.c --------------------------------------------------------------------------------------------------
// Before units are read from a page: no inline write tag leads there afterwards. jit.translate_lock held.
void code_protect_page(struct accel *accel, struct vcpu *self, struct code_page *page, uint64_t lines);
struct code_page *code_find_page(struct jit *jit, uint8_t *host); // jit.lock held
// A store of a vCPU to a page that holds code, of up to 16 bytes, done with comparison.
void code_store(struct accel *accel, struct vcpu *self, struct mem_ram *ram, uint64_t offset, const void *bytes,
                uint64_t len);
uint64_t code_unit_lines(const struct unit *unit);                          // as bits of mem_ram.code_lines
void code_invalidate(struct accel *accel, struct vcpu *self, struct mem_ram *ram, uint64_t offset, uint64_t len);
_Atomic uint64_t *code_write_slot(struct accel *accel, const struct mem_ram *ram, uint64_t page);

// ---- units.c -------------------------------------------------------------------------------------------------------
int jit_create(struct accel *accel, struct error *err);
void jit_destroy(struct accel *accel);
// The unit at pc if it exists and the inline table knows where pc is. In code.
struct unit *unit_known(struct vcpu *vcpu, uint64_t pc);
// The unit for the code at `at` under vcpu's key, translated if need be. NULL when out of memory, or when requests came
// in that must be attended to first.
struct unit *unit_find(struct vcpu *vcpu, const struct xlat *at, uint64_t pc, uint32_t max_insns);
void unit_link(struct vcpu *vcpu, struct backend_exit *exit, struct unit *to, uint64_t evictions);
void unit_kill(struct accel *accel, struct unit *unit); // jit.lock held
void unit_free(struct unit *unit);
// The unit of that name. In code, or jit.lock held.
struct unit *unit_lookup(struct jit *jit, const uint8_t *host_page, uint32_t offset, uint32_t key);
// Puts a fresh unit (page, host_page, key, offset set) into the table and its page's list; jit.lock held.
void unit_publish(struct jit *jit, struct unit *unit);
// Puts region in the place of unit; jit.lock held.
void unit_replace(struct accel *accel, struct unit *unit, struct unit *region);
// Compiles jit.scratch into the code buffer, making room if need be; translate_lock held, self at a safepoint.
int unit_compile(struct accel *accel, struct vcpu *self, struct unit *unit, uint64_t pc);
void jit_flush(struct accel *accel, struct vcpu *self); // every unit; at a safepoint, no lock held

// After bytes of the page were written: orders the mark behind them.
static inline void access_mark_dirty(struct mem_ram *ram, uint64_t page)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(&ram->dirty[page], memory_order_relaxed))
        atomic_store_explicit(&ram->dirty[page], 1, memory_order_relaxed);
}

// ---- run.c, debug.c ----------------------------------------------------------------------------------------------
void *vcpu_main(void *vcpu);
void vcpu_apply_power(struct vcpu *vcpu); // accel.lock held; own thread, or while parked
bool debug_breakpoint_at(const struct accel *accel, uint64_t pc);
bool debug_breakpoint_in(const struct accel *accel, uint64_t pc, uint64_t len);

#endif
