// SPDX-License-Identifier: MIT
// The guest's half of vsock_boot.py: "send PORT BYTES" sends so many bytes to the host's port, closes that way and reads
// to the end; "serve PORT" answers one client with what it sent. Each prints CRC-32s of what went and came.
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h> // which wants struct sockaddr before it

enum { MOST = 8 << 20 };
static unsigned char buf[MOST];

static uint32_t crc(const unsigned char *p, size_t n)
{
    uint32_t c = ~0u;
    while (n--) {
        c ^= *p++;
        for (int i = 0; i < 8; i++)
            c = c >> 1 ^ (c & 1 ? 0xedb88320 : 0);
    }
    return ~c;
}

static size_t take_all(int fd)
{
    size_t len = 0;
    ssize_t n;
    while (len < MOST && (n = read(fd, buf + len, MOST - len)) > 0)
        len += (size_t)n;
    return len;
}

static void put_all(int fd, size_t len)
{
    ssize_t n;
    for (size_t done = 0; done < len && (n = write(fd, buf + done, len - done)) > 0;)
        done += (size_t)n;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
    struct sockaddr_vm a = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = (unsigned)atoi(argv[2])};
    if (!strcmp(argv[1], "serve")) {
        a.svm_cid = VMADDR_CID_ANY;
        if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 1))
            return 1;
        printf("@serving %s\n", argv[2]);
        fflush(stdout);
        fd = accept(fd, NULL, NULL);
        size_t len = take_all(fd);
        printf("@served %08x\n", crc(buf, len));
        put_all(fd, len);
        return close(fd) != 0;
    }
    if (connect(fd, (struct sockaddr *)&a, sizeof a)) {
        printf("@refused %s\n", strerror(errno));
        return 1;
    }
    size_t len = argc > 3 ? (size_t)atoi(argv[3]) : 0;
    for (size_t i = 0; i < len; i++)
        buf[i] = (unsigned char)(i * 2654435761u >> 13);
    printf("@sent %08x\n", crc(buf, len));
    put_all(fd, len);
    shutdown(fd, SHUT_WR);
    printf("@got %08x\n", crc(buf, take_all(fd)));
    return 0;
}
