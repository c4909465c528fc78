// SPDX-License-Identifier: MIT
// The queue of regions to compile (queue.h). It is short, so that every step is a walk over it.
#include "accel/jit/queue.h"

static bool same(const struct tier_job *a, const struct tier_job *b)
{
    return a->host_page == b->host_page && a->offset == b->offset && a->key == b->key;
}

static bool hotter(const struct tier_job *a, const struct tier_job *b)
{
    return a->weight != b->weight ? a->weight > b->weight : a->heat > b->heat;
}

bool queue_put(struct tier_queue *queue, const struct tier_job *job)
{
    struct tier_job *coldest = &queue->jobs[0];
    for (unsigned i = 0; i < queue->count; i++) {
        struct tier_job *j = &queue->jobs[i];
        if (same(j, job)) {
            queue->repeated++;
            j->heat = job->heat > j->heat ? job->heat : j->heat;
            j->weight = job->weight > j->weight ? job->weight : j->weight;
            return false;
        }
        if (hotter(coldest, j))
            coldest = j;
    }
    if (queue->count < TIER_QUEUE) {
        queue->jobs[queue->count++] = *job;
        return true;
    }
    queue->dropped++;
    if (!hotter(job, coldest))
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

bool queue_has_page(const struct tier_queue *queue, const uint8_t *host_page, uint32_t key)
{
    for (unsigned i = 0; i < queue->count; i++)
        if (queue->jobs[i].host_page == host_page && queue->jobs[i].key == key)
            return true;
    return false;
}

bool queue_take(struct tier_queue *queue, struct tier_job *ret_job)
{
    struct tier_job *hottest = &queue->jobs[0];
    if (!queue->count)
        return false;
    for (unsigned i = 1; i < queue->count; i++)
        if (hotter(&queue->jobs[i], hottest))
            hottest = &queue->jobs[i];
    *ret_job = *hottest;
    *hottest = queue->jobs[--queue->count];
    return true;
}
