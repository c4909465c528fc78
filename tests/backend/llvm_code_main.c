// SPDX-License-Identifier: MIT
// Compiles each unit of a text file (IR text form over the toy guest, units separated by lines "== name") in the
// optimising tier and prints its host code in hexadecimal: the tool behind llvm_code.py.
// usage: llvm_code FILE [sse] ; output lines: name, bytes from the body's first instruction on.
#include "backends/x64/features.h"
#include "base/error.h"
#include "tests/backend/llvm_engine.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_SIZE = 1 << 18 };

// What starts behind fp_check has its body's address in `lea r13, [rip + ...]`.
static const uint8_t *body_of(const uint8_t *entry)
{
    static const uint8_t lea[] = { 0x4c, 0x8d, 0x2d };
    int32_t offset;
    memcpy(&offset, entry + sizeof lea, sizeof offset);
    return memcmp(entry, lea, sizeof lea) ? entry : entry + sizeof lea + sizeof offset + offset;
}

static int show(struct llvm_engine *engine, const char *name, const char *text)
{
    static const void *const fallback;
    struct error err = { "" };
    struct ir_unit unit = { 0 };
    struct optimiser_region region;
    int r = ir_parse(text, &toy_guest, &unit, &err);
    if (r == 0)
        r = ir_verify(&unit, &err);
    if (r == 0) {
        llvm_engine_compile(engine, &unit, &fallback, &region);
        const uint8_t *entry = region.entry, *body = body_of(entry);
        printf("%s\t", name);
        for (const uint8_t *at = body; at < (body == entry ? body + region.code_size : entry); at++)
            printf("%02x", *at);
        printf("\n");
        engine->ops->release(engine->optimiser, region.handle);
    } else {
        fprintf(stderr, "%s: %s (%d)\n", name, err.text, r);
    }
    ir_unit_free(&unit);
    return r;
}

int main(int argc, char **argv)
{
    static char text[TEXT_SIZE];
    static struct llvm_engine engine;
    FILE *in = argc >= 2 ? fopen(argv[1], "r") : NULL;
    if (!in)
        return 2;
    size_t n = fread(text, 1, sizeof text - 1, in);
    fclose(in);
    text[n] = 0;
    llvm_engine_create(&engine, argc > 2 ? X64_HAS_SSE42 : UINT64_MAX);
    int bad = 0;
    for (char *at = strstr(text, "== "); at;) {
        char *name = at + 3, *body = strchr(name, '\n'), *next = strstr(name, "\n== ");
        *body++ = 0;
        if (next)
            *next++ = 0;
        bad |= show(&engine, name, body);
        at = next;
    }
    llvm_engine_destroy(&engine);
    return bad != 0;
}
