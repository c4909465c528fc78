// SPDX-License-Identifier: MIT
// Owns the machine's input devices, whatever bus they are on: which of them an event goes to, and keys that are pressed
// for a while. Key steps that wait for their time are the user's doing, not state of the machine.
#include "machines/inputs.h"
#include "machines/machine_internal.h"

#include <errno.h>
#include <linux/input-event-codes.h>
#include <string.h>

int machine_add_input(struct machine *m, struct device *dev, const struct input_ops *ops, struct error *err)
{
    if (m->input_count == MACHINE_MAX_INPUTS)
        return error_set(err, -ENOSPC, "there can be at most %d input devices", MACHINE_MAX_INPUTS);
    m->inputs[m->input_count++] = (struct machine_input_device){dev, ops};
    return 0;
}

void machine_forget_input(struct machine *m, const struct device *dev)
{
    for (unsigned i = 0; i < m->input_count; i++)
        if (m->inputs[i].dev == dev) {
            memmove(&m->inputs[i], &m->inputs[i + 1], (--m->input_count - i) * sizeof m->inputs[0]);
            return;
        }
}

int machine_input(struct machine *m, const struct input_event *events, unsigned count)
{
    int r = -ENODEV;
    for (unsigned i = 0; count && i < m->input_count; i++) {
        const struct machine_input_device *input = &m->inputs[i];
        if (!input->ops->has(input->dev, events->type, events->code))
            continue;
        if (input->ops->send(input->dev, events, count))
            return 0;
        r = -EAGAIN;
    }
    return r;
}

// --- keys held for a while ---

static int send_step(struct machine *m, const struct machine_key_step *step)
{
    const struct input_event event = {EV_KEY, step->code, step->down};
    return machine_input(m, &event, 1);
}

// Steps that are due, up to the first that waits.
static void run_steps(struct machine *m)
{
    struct machine_keys *keys = &m->keys;
    while (keys->count && !keys->steps[0].wait_ns) {
        send_step(m, &keys->steps[0]);
        memmove(keys->steps, keys->steps + 1, --keys->count * sizeof *keys->steps);
    }
    if (keys->count)
        loop_timer_arm(&keys->timer, clock_now(&m->clock) + keys->steps[0].wait_ns);
}

static void step_due(void *opaque)
{
    struct machine *m = opaque;
    if (m->keys.count)
        m->keys.steps[0].wait_ns = 0;
    run_steps(m);
}

bool machine_has_input(const struct machine *m, uint16_t type, uint16_t code)
{
    for (unsigned i = 0; i < m->input_count; i++)
        if (m->inputs[i].ops->has(m->inputs[i].dev, type, code))
            return true;
    return false;
}

int machine_press_keys(struct machine *m, const uint16_t *codes, unsigned count, int64_t hold_ns)
{
    struct machine_keys *keys = &m->keys;
    for (unsigned i = 0; i < count; i++)
        if (!machine_has_input(m, EV_KEY, codes[i]))
            return -ENODEV;
    if (count > MACHINE_MAX_KEY_STEPS / 2 || keys->count + 2 * count > MACHINE_MAX_KEY_STEPS)
        return -EAGAIN;
    if (!keys->timer.loop) {
        int r = loop_timer_init(m->loop, &keys->timer, &m->clock, step_due, m);
        if (r)
            return r;
    }
    bool idle = !keys->count;
    for (unsigned i = 0; i < count; i++)
        keys->steps[keys->count++] = (struct machine_key_step){.code = codes[i], .down = true};
    for (unsigned i = count; i-- > 0;)
        keys->steps[keys->count++] =
            (struct machine_key_step){.code = codes[i], .wait_ns = i == count - 1 ? hold_ns : 0};
    if (idle)
        run_steps(m);
    return 0;
}

void machine_forget_keys(struct machine *m)
{
    if (m->keys.timer.loop)
        loop_timer_destroy(&m->keys.timer);
}
