// SPDX-License-Identifier: MIT
// The other ends of a machine's network: what a peer on a stream socket sends, in frames behind their lengths
// or any bytes (host/net/stream.c), and the texts of a user-mode network's options (host/net/user.h). The
// first byte chooses.
#include "base/error.h"
#include "base/keyval.h"
#include "host/net.h"
#include "host/net/backends.h"
#include "host/net/user.h"
#include "tests/fuzz/rig.h"

#include <sys/socket.h>
#include <unistd.h>

enum { DNS_MAX = 4 };

struct nic {
    unsigned refuse; // so many frames
    struct net *net;
};

static bool receive(void *opaque, const struct net_offload *offload, const uint8_t *frame, size_t len)
{
    struct nic *nic = opaque;
    volatile uint8_t sum = 0;
    FUZZ_CHECK(len >= NET_FRAME_MIN && len <= NET_FRAME_MAX);
    for (size_t i = 0; i < len; i++) // every byte is there
        sum = (uint8_t)(sum + frame[i]);
    if (!nic->refuse)
        return true;
    nic->refuse--;
    return false;
}

static void can_send(void *opaque) {}

static void link_changed(void *opaque) {}

// A frame the other way; the peer reads none, so that they come to wait.
static void send_to_peer(struct net *net, uint8_t what, const uint8_t *bytes, size_t len)
{
    struct net_offload offload = {.flags = what & 1,
                                  .gso_type = what & 2 ? NET_GSO_TCPV4 : NET_GSO_NONE,
                                  .gso_size = 100,
                                  .csum_start = 34,
                                  .csum_offset = 16};
    uint8_t *frame = malloc(len + 1);
    memcpy(frame, bytes, len);
    for (unsigned i = 0; i < 1u << (what >> 3 & 7); i++)
        net_send(net, &offload, frame, len);
    net_pause(net, what & 4);
    net_pause(net, false);
    free(frame);
}

static void from_peer(struct fuzz_input *in)
{
    static const struct net_sink sink = {.receive = receive, .can_send = can_send, .link = link_changed};
    struct rig *rig = rig_get();
    const struct net_env env = {.loop = rig->loop, .clock = &rig->clock};
    struct keyval_list options;
    struct nic nic = {0};
    struct error err = {0};
    int ends[2];
    char text[64];
    int small = 4096; // so that frames come to wait
    FUZZ_CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    FUZZ_CHECK(!setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small));
    snprintf(text, sizeof text, "socket,id=n,fd=%d", ends[0]);
    FUZZ_CHECK(!keyval_parse(text, "type", &options, NULL));
    if (net_open(&options, &env, &nic.net, &err)) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    net_attach(nic.net, &sink, &nic);
    while (in->size) {
        uint8_t what = fuzz_u8(in), head[4] = {0, 0, what >> 3 & 1 ? 0 : fuzz_u8(in), fuzz_u8(in)};
        size_t len, want = what & 4 ? (size_t)head[2] << 8 | head[3] : fuzz_u8(in);
        const uint8_t *bytes = fuzz_bytes(in, want, &len);
        if ((what & 0xc0) == 0xc0) {
            send_to_peer(nic.net, what, bytes, len);
            continue;
        }
        if (what & 16)
            nic.refuse = what >> 5;
        if (what & 1)
            (void)!send(ends[1], head, sizeof head, MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)!send(ends[1], bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (what & 2)
            loop_once(rig->loop, 0);
        if (what & 8)
            net_accept(nic.net);
    }
    loop_once(rig->loop, 0);
    close(ends[1]);
    loop_once(rig->loop, 0);
    net_attach(nic.net, NULL, NULL);
    net_destroy(nic.net);
    keyval_free(&options);
}

static void user_options(const char *text)
{
    struct keyval_list options;
    SlirpConfig config = {0};
    const char *dns_search[DNS_MAX + 1];
    struct user_forward forward;
    struct in_addr address;
    struct error err = {0};
    const char *to;
    int port;
    if (!keyval_parse(text, "type", &options, NULL)) {
        if (user_read_options(&options, &config, dns_search, DNS_MAX, &err))
            FUZZ_CHECK(err.text[0]);
        keyval_free(&options);
    }
    user_read_hostfwd(text, false, &forward, &err);
    user_read_hostfwd(text, true, &forward, &err);
    if (!user_read_guestfwd(text, &address, &port, &to, &err))
        FUZZ_CHECK(to >= text && to <= text + strlen(text));
}

static void give(void *opaque, const struct net_offload *offload, const uint8_t *frame, size_t len)
{
    FUZZ_CHECK(len <= NET_FRAME_MAX);
}

// Frames that pass between a guest and slirp.
static void user_frame(struct fuzz_input *in)
{
    uint8_t takes = fuzz_u8(in);
    size_t len;
    const uint8_t *bytes = fuzz_bytes(in, NET_FRAME_MAX, &len);
    uint8_t *frame = malloc(len + 1);
    memcpy(frame, bytes, len);
    user_raise_mss(frame, len, takes);
    user_prepare(frame, len, give, NULL);
    free(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    char *text;
    switch (fuzz_u8(&in) % 3) {
    case 0: from_peer(&in); break;
    case 1:
        text = calloc(1, in.size + 1);
        memcpy(text, in.data, in.size);
        user_options(text);
        free(text);
        break;
    default: user_frame(&in); break;
    }
    return 0;
}
