// SPDX-License-Identifier: MIT
// The host's side of a socket device (virtio-vsock): streams between ports of the guest and Unix sockets.
//
// Who wants port P of the guest connects to the socket at the given path, sends "CONNECT P\n" and reads "OK N\n", N being
// the port it has at the host, once somebody in the guest has accepted; from there on bytes flow. What the guest connects to
// at the host's port P is the socket at the path with "_P" behind it. Firecracker and Cloud Hypervisor have the same rules.
//
// Thread: machine lock held. Neither side calls the other before the call that it is in has returned, unless said.
#ifndef HOST_VSOCK_H
#define HOST_VSOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct loop;
struct vsock;
struct vsock_stream;

// Bytes that a stream keeps while its socket takes none: what the guest may have on the way.
enum { VSOCK_STREAM_ROOM = 256 << 10 };

// What the device does. stream is good until vsock_close.
struct vsock_ops {
    // Somebody at the host wants the port; false: nobody is there. Later: vsock_accepted or vsock_close.
    bool (*connect)(void *opaque, struct vsock_stream *stream, uint32_t port);
    // There is something to read, or its end: called until vsock_read gets it or vsock_watch says not to.
    void (*readable)(void *opaque, struct vsock_stream *stream);
    // Bytes that had to wait have left.
    void (*drained)(void *opaque, struct vsock_stream *stream);
};

// Listens at path, which is removed at the end. 0 or a negative errno and a sentence.
int vsock_create(const char *path, struct loop *loop, struct vsock **ret_vsock, struct error *err);
void vsock_destroy(struct vsock *vsock); // closes what is left
// Before anything happens; ops outlives the vsock.
void vsock_attach(struct vsock *vsock, const struct vsock_ops *ops, void *opaque);

// The guest connects to a port of the host. NULL where nobody listens.
struct vsock_stream *vsock_connect(struct vsock *vsock, uint32_t port, void *user);
void vsock_accepted(struct vsock_stream *stream, uint32_t host_port, void *user); // answers connect
void *vsock_user(const struct vsock_stream *stream); // of either, NULL before
void vsock_close(struct vsock_stream *stream);        // at once; what waits is lost

// All of buf goes or waits; false when it is more than there is room for, or the socket is broken.
bool vsock_write(struct vsock_stream *stream, const void *buf, size_t len);
size_t vsock_waiting(const struct vsock_stream *stream);
// Bytes read, 0 at the end, -1 where there is nothing yet.
long vsock_read(struct vsock_stream *stream, void *buf, size_t len);
void vsock_watch(struct vsock_stream *stream, bool readable); // whether to be told
void vsock_finish(struct vsock_stream *stream); // no more writes: the other end learns of it after what waits

#endif
