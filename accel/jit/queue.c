// SPDX-License-Identifier: MIT
// The queue of regions to compile (queue.h). It is short, so that every step is a walk over it.
#include "accel/jit/queue.h"

static bool same(const struct tier_job *a, const struct tier_job *b)
{
    return a->host_page == b->host_page && a->offset == b->offset && a->key == b->key;
}

bool queue_put(struct tier_queue *queue, const struct tier_job *job)
{
    struct tier_job *coldest = &queue->jobs[0];
    for (unsigned i = 0; i < queue->count; i++) {
        struct tier_job *j = &queue->jobs[i];
        if (same(j, job)) {
            queue->repeated++;
            j->heat = job->heat > j->heat ? job->heat : j->heat;
            return false;
        }
        if (j->heat < coldest->heat)
            coldest = j;
    }
    if (queue->count < TIER_QUEUE) {
        queue->jobs[queue->count++] = *job;
        return true;
    }
    queue->dropped++;
    if (coldest->heat >= job->heat)
        return false;
    *coldest = *job;
    return true;
}

void queue_drop(struct tier_queue *queue, const uint8_t *host_page, uint32_t offset, uint32_t key)
{
    for (unsigned i = 0; i < queue->count; i++) {
        const struct tier_job *j = &queue->jobs[i];
        if (j->host_page == host_page && j->offset == offset && j->key == key)
            queue->jobs[i--] = queue->jobs[--queue->count];
    }
}

bool queue_take(struct tier_queue *queue, struct tier_job *ret_job)
{
    struct tier_job *hottest = &queue->jobs[0];
    if (!queue->count)
        return false;
    for (unsigned i = 1; i < queue->count; i++)
        if (queue->jobs[i].heat > hottest->heat)
            hottest = &queue->jobs[i];
    *ret_job = *hottest;
    *hottest = queue->jobs[--queue->count];
    return true;
}
