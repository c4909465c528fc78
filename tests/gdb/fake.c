// SPDX-License-Identifier: MIT
// Owns the fakes' behaviour. Invariant: calls that need a stopped machine assert that it is.
#include "tests/gdb/fake.h"
#include "control/monitor/monitor.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static const struct guest_debug_reg regs[] = {
    {"x0", "general", 64}, {"x1", "general", 64},  {"sp", "general", 64},  {"pc", "general", 64},
    {"v0", "vector", 128}, {"cell", "system", 64}, {"fixed", "system", 64}};

static void *cell(struct ir_env *env, unsigned reg)
{
    struct accel *accel = env->vcpu;
    size_t cpu = (size_t)(env - accel->env);
    void *const cells[] = {&accel->x[cpu][0], &accel->x[cpu][1], &accel->sp[cpu], &env->pc, accel->v0[cpu], &accel->sys[cpu]};
    return reg < sizeof cells / sizeof *cells ? cells[reg] : NULL;
}

static bool debug_get(struct ir_env *env, unsigned reg, void *ret)
{
    void *from = cell(env, reg);
    if (from)
        memcpy(ret, from, regs[reg].bits / 8);
    return from;
}

static bool debug_set(struct ir_env *env, unsigned reg, const void *value)
{
    void *to = cell(env, reg);
    if (to)
        memcpy(to, value, regs[reg].bits / 8);
    return to;
}

static uint64_t canonical(const struct ir_env *env, uint64_t va)
{
    return va & ~(0xffull << 56);
}

static const struct guest_isa isa = {
    .ir = {.name = "toy"}, .canonical = canonical, .debug_regs = regs, .debug_reg_count = sizeof regs / sizeof *regs,
    .debug_get = debug_get, .debug_set = debug_set, .gdb_feature_prefix = "org.gnu.gdb.toy"};

// ---- machine -------------------------------------------------------------------------------------------------------

void fake_machine_init(struct machine *m)
{
    memset(m, 0, sizeof *m);
    pthread_mutex_init(&m->lock, NULL);
    m->config.cpu_count = FAKE_CPUS;
    m->quit_status = -1;
    m->accel.step_cpu = m->accel.only_cpu = -1;
    for (unsigned i = 0; i < FAKE_CPUS; i++) {
        m->accel.env[i].vcpu = &m->accel;
        m->accel.env[i].pc = 0x1000 + i * 0x100;
        m->accel.x[i][0] = 0x1122334455667788 + i;
    }
    for (unsigned i = 0; i < FAKE_SIZE; i++)
        m->accel.memory[i] = (uint8_t)i;
}

static void tell(struct machine *m, struct machine_event event)
{
    if (m->listener)
        m->listener->notify(m->listener->opaque, &event);
}

void fake_machine_turn(struct machine *m)
{
    while (m->requests) {
        uint32_t r = m->requests;
        m->requests = 0;
        if (r & MACHINE_STOP) {
            m->running = false;
            m->accel.only_cpu = -1;
            tell(m, (struct machine_event){.kind = MACHINE_STOPPED});
        }
        if (r & MACHINE_CONT) {
            m->running = true;
            tell(m, (struct machine_event){.kind = MACHINE_RESUMED});
        }
        if (m->running && m->accel.step_cpu >= 0) {
            unsigned cpu = (unsigned)m->accel.step_cpu;
            m->accel.step_cpu = -1;
            m->accel.env[cpu].pc += 4;
            fake_machine_hit(m, cpu, ACCEL_STOP_STEP);
        }
    }
}

void fake_machine_hit(struct machine *m, unsigned cpu, int reason)
{
    cr_assert(m->running);
    m->running = false;
    m->accel.only_cpu = -1;
    tell(m, (struct machine_event){.kind = MACHINE_STOPPED, .debug = true, .cpu = cpu, .reason = reason});
}

void fake_machine_end(struct machine *m, int status)
{
    m->running = false;
    tell(m, (struct machine_event){.kind = MACHINE_ENDING, .status = status});
}

void machine_request(struct machine *m, enum machine_request what)
{
    m->requests |= what;
}

void machine_quit(struct machine *m, int status)
{
    m->quit_status = status;
}

// Stands for the human monitor.
void monitor_session_command(struct monitor_session *session, struct machine *m, const char *line, FILE *out)
{
    if (!strcmp(line, "cont"))
        machine_request(m, MACHINE_CONT);
    else
        fprintf(out, "%s?\n", line);
}

bool machine_running(const struct machine *m)
{
    return m->running;
}

void machine_listen(struct machine *m, struct machine_listener *listener)
{
    m->listener = listener;
}

void machine_unlisten(struct machine *m, struct machine_listener *listener)
{
    m->listener = NULL;
}

struct accel *machine_accel(struct machine *m)
{
    return &m->accel;
}

struct mem_space *machine_mem(struct machine *m)
{
    return NULL;
}

const struct machine_config *machine_config(const struct machine *m)
{
    return &m->config;
}

const struct guest_isa *machine_isa(const struct machine *m)
{
    return &isa;
}

pthread_mutex_t *machine_lock(struct machine *m)
{
    return &m->lock;
}

// ---- accelerator ---------------------------------------------------------------------------------------------------

static void assert_stopped(struct accel *accel)
{
    cr_assert_not(((struct machine *)((char *)accel - offsetof(struct machine, accel)))->running);
}

struct ir_env *accel_env(struct accel *accel, unsigned cpu)
{
    cr_assert_lt(cpu, FAKE_CPUS);
    return &accel->env[cpu];
}

bool accel_cpu_on(const struct accel *accel, unsigned cpu)
{
    return !accel->off[cpu];
}

static uint8_t *at(struct accel *accel, uint64_t va, size_t len)
{
    assert_stopped(accel);
    return va >= FAKE_BASE && va - FAKE_BASE < FAKE_SIZE && len <= FAKE_SIZE - (va - FAKE_BASE)
               ? accel->memory + (va - FAKE_BASE)
               : NULL;
}

int accel_debug_read(struct accel *accel, unsigned cpu, uint64_t va, void *buf, size_t len)
{
    const uint8_t *from = at(accel, va, len);
    return from ? memcpy(buf, from, len), 0 : -EFAULT;
}

int accel_debug_write(struct accel *accel, unsigned cpu, uint64_t va, const void *buf, size_t len)
{
    uint8_t *to = at(accel, va, len);
    return to ? memcpy(to, buf, len), 0 : -EFAULT;
}

int accel_breakpoint(struct accel *accel, uint64_t va, bool insert)
{
    assert_stopped(accel);
    accel->breaks += insert ? 1 : -1;
    return 0;
}

int accel_watchpoint(struct accel *accel, uint64_t va, uint64_t len, unsigned access, bool insert)
{
    assert_stopped(accel);
    accel->watches += insert ? 1 : -1;
    return 0;
}

void accel_step(struct accel *accel, unsigned cpu)
{
    assert_stopped(accel);
    accel->step_cpu = (int)cpu;
}

void accel_run_only(struct accel *accel, unsigned cpu)
{
    assert_stopped(accel);
    accel->only_cpu = (int)cpu;
}

void accel_watch_hit(struct accel *accel, unsigned cpu, uint64_t *ret_va, enum guest_access *ret_access)
{
    *ret_va = accel->hit_va;
    *ret_access = accel->hit_access;
}


// ---- guest-physical memory: nothing there --------------------------------------------------------------------------

const struct mem_range *mem_find(const struct mem_space *space, struct gpa addr)
{
    return NULL;
}

enum mem_result mem_read(struct mem_space *space, struct gpa addr, void *buf, uint64_t len, bool locked)
{
    return MEM_NOTHING_THERE;
}

enum mem_result mem_write(struct mem_space *space, struct gpa addr, const void *buf, uint64_t len, bool locked)
{
    return MEM_NOTHING_THERE;
}

// ---- chardev -------------------------------------------------------------------------------------------------------

// Turns "$payload#xx" at the end of out into "$payload".
static void finish_packet(struct fake_channel *c)
{
    uint8_t sum = 0;
    char digits[3];
    size_t end = c->len - 3;
    for (size_t i = c->start + 1; i < end; i++)
        sum += (uint8_t)c->out[i];
    snprintf(digits, sizeof digits, "%02x", sum);
    if (memcmp(digits, c->out + end + 1, 2))
        c->out[end++] = '!';
    c->len = end;
    c->start = SIZE_MAX;
}

static int channel_write(struct chardev *chardev, const void *buf, size_t len)
{
    struct fake_channel *c = (struct fake_channel *)chardev;
    for (size_t i = 0; i < len && c->len < sizeof c->out - 1; i++) {
        char byte = ((const char *)buf)[i];
        if (c->start == SIZE_MAX && byte == '$')
            c->start = c->len;
        c->out[c->len++] = byte;
        if (c->start != SIZE_MAX && c->len - c->start > 3 && c->out[c->len - 3] == '#')
            finish_packet(c);
    }
    c->out[c->len] = 0;
    return (int)len;
}

void fake_channel_init(struct fake_channel *channel)
{
    static const struct chardev_ops ops = {.write = channel_write};
    *channel = (struct fake_channel){.chardev.ops = &ops, .start = SIZE_MAX};
}
