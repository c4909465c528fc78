// SPDX-License-Identifier: MIT
// Owns the debugger's "monitor" command: lines go to the human monitor, its output comes back in packets of its own
// before the command's reply.
#include "control/gdb/gdb_internal.h"
#include "control/monitor/monitor.h"

#include <stdlib.h>
#include <string.h>

static void print(struct gdb *gdb, const char *text, size_t len)
{
    enum { TEXT_A_PACKET = 1024 };
    while (len) {
        size_t part = len < TEXT_A_PACKET ? len : TEXT_A_PACKET;
        gdb_reply_clear(&gdb->reply);
        gdb_put(&gdb->reply, "O");
        gdb_put_hex(&gdb->reply, text, part);
        gdb_send(gdb);
        text += part;
        len -= part;
    }
}

void gdb_monitor(struct gdb *gdb, const char *line)
{
    if (!strcmp(line, "stop")) { // it has stopped to serve this packet; what is left is not to continue
        gdb->borrowed = false;
        return;
    }
    struct monitor_session session = {.cpu = gdb->cpu};
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return;
    monitor_session_command(&session, gdb->machine, line, out);
    if (!fclose(out))
        print(gdb, text, len);
    free(text);
}
