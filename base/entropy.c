// SPDX-License-Identifier: MIT
// Owns the machine's random bytes: getrandom, or xoshiro256** seeded through splitmix64.
#include "base/entropy.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

void entropy_init(struct entropy *entropy)
{
    *entropy = (struct entropy){0};
    pthread_mutex_init(&entropy->lock, NULL);
}

void entropy_init_seeded(struct entropy *entropy, uint64_t seed)
{
    entropy_init(entropy);
    entropy->seeded = true;
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        entropy->state[i] = z ^ (z >> 31);
    }
}

void entropy_destroy(struct entropy *entropy)
{
    pthread_mutex_destroy(&entropy->lock);
}

static uint64_t rotl(uint64_t v, int n)
{
    return v << n | v >> (64 - n);
}

static uint64_t xoshiro_next(uint64_t s[4])
{
    uint64_t result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

static int host_fill(uint8_t *buf, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = getrandom(buf + done, len - done, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            int code = n < 0 ? -errno : -EIO;
            memset(buf, 0, len);
            return code;
        }
        done += (size_t)n;
    }
    return 0;
}

int entropy_fill(struct entropy *entropy, void *buf, size_t len)
{
    if (!entropy->seeded)
        return host_fill(buf, len);
    pthread_mutex_lock(&entropy->lock);
    for (uint8_t *p = buf; len;) {
        uint64_t v = xoshiro_next(entropy->state);
        size_t n = len < sizeof v ? len : sizeof v;
        memcpy(p, &v, n);
        p += n;
        len -= n;
    }
    pthread_mutex_unlock(&entropy->lock);
    return 0;
}
