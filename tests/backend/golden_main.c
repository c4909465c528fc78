// SPDX-License-Identifier: MIT
// Compiles each unit of a text file (IR text form over the toy guest, units separated by lines "== name") and prints
// its host code in hexadecimal, with and without AVX: the tool behind golden.py.
// usage: backend_golden FILE ; output lines: name, features, bytes.
#include "base/error.h"
#include "backends/x64/features.h"
#include "tests/backend/toy_jit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CODE_SIZE = 1 << 20, TEXT_SIZE = 1 << 16 };

static int show(const char *name, const char *text, const char *features, uint64_t mask)
{
    struct error err = { "" };
    struct ir_unit unit = { 0 };
    struct backend *backend;
    struct code_buffer code = { .size = CODE_SIZE };
    static struct backend_exit exits[BACKEND_MAX_EXITS];
    struct backend_unit compiled;
    struct backend_config config = { .guest = &toy_guest, .runtime = &toy_runtime, .feature_mask = mask };
    code.rw = calloc(1, CODE_SIZE);
    code.rx = code.rw;
    int r = ir_parse(text, &toy_guest, &unit, &err);
    if (r == 0)
        r = ir_verify(&unit, &err);
    if (r == 0)
        r = x64_backend.create(&config, &code, &backend, &err);
    if (r == 0) {
        r = x64_backend.compile(backend, &unit, &code, exits, &compiled);
        printf("%s\t%s\t", name, features);
        for (size_t i = 0; r == 0 && i < compiled.code_size; i++)
            printf("%02x", ((const uint8_t *)compiled.entry)[i]);
        for (size_t i = 0; r == 0 && i < compiled.cold_size; i++)
            printf("%02x", ((const uint8_t *)compiled.cold)[i]);
        printf("\n");
        x64_backend.destroy(backend);
    }
    if (r)
        fprintf(stderr, "%s: %s (%d)\n", name, err.text, r);
    ir_unit_free(&unit);
    free(code.rw);
    return r;
}

int main(int argc, char **argv)
{
    static char text[TEXT_SIZE];
    FILE *in = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (!in)
        return 2;
    size_t n = fread(text, 1, sizeof text - 1, in);
    fclose(in);
    text[n] = 0;
    int bad = 0;
    for (char *at = strstr(text, "== "); at;) {
        char *name = at + 3, *body = strchr(name, '\n'), *next = strstr(name, "\n== ");
        *body++ = 0;
        if (next)
            *next++ = 0;
        bad |= show(name, body, "avx", UINT64_MAX);
        bad |= show(name, body, "sse", X64_HAS_SSE42 | X64_HAS_LAHF);
        at = next;
    }
    return bad != 0;
}
