# SPDX-License-Identifier: MIT
"""Makes the inputs of tests/bench/programs/: text, a C source, a tree of files, a key. They are generated rather than
stored so that the repository stays small, and the same seed makes the same bytes, which is what lets the checksums of
different emulators be compared. Nothing here is a secret: the RSA key is the same for everyone."""
import base64
import os
import random

SEED = 20240229
LOG_LINES = 30000
C_FUNCTIONS = 100
TREE_FILES = 160
RSA_BITS = 2048

WORDS = """ember ledger marble orbit canyon thistle walnut copper harbor pepper lantern meadow granite violet saddle timber
prairie anchor velvet bramble cinder falcon gravel hollow island juniper kettle lagoon mantle nectar oyster parcel
quartz ribbon sierra tundra umber valley willow yonder zephyr basin cedar delta""".split()
LEVELS = ("info", "info", "info", "info", "debug", "debug", "warning", "error")


def log_text(rng, lines):
    """Lines like a server's log: skewed words, numbers, a few fields that programs sort and sum by."""
    out = []
    when = 1700000000
    for number in range(lines):
        when += rng.randrange(5)
        words = " ".join(WORDS[min(int(rng.expovariate(0.09)), len(WORDS) - 1)] for _ in range(rng.randrange(3, 9)))
        out.append(f"{when} {LEVELS[rng.randrange(len(LEVELS))]:7} host{rng.randrange(64):02d} "
                   f"unit-{rng.randrange(900)}: {words} took={rng.randrange(100000)} id={rng.getrandbits(48):012x} "
                   f"seq={number}")
    return "\n".join(out) + "\n"


C_HEAD = """#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node {
    struct node *left, *right;
    uint64_t key, weight;
    char name[24];
};

static uint64_t mix(uint64_t a, uint64_t b) { a ^= b + 0x9e3779b97f4a7c15u + (a << 6) + (a >> 2); return a * 0xff51afd7ed558ccdu; }
"""

C_SHAPES = (
    """
static int64_t switch_@N@(const uint8_t *code, size_t count, int64_t seed)
{
    int64_t a = seed, b = @K1@, stack[32];
    size_t top = 0;
    for (size_t i = 0; i < count; i++) {
        switch (code[i] % 11) {
        case 0: a += b; break;
        case 1: a -= @K2@; break;
        case 2: b ^= a; break;
        case 3: b = b * @K3@ + 1; break;
        case 4: if (top < 32) stack[top++] = a; break;
        case 5: if (top > 0) a = stack[--top]; break;
        case 6: a = (int64_t)((uint64_t)a << (b & 15)); break;
        case 7: a = b != 0 ? a / b : a; break;
        case 8: if (a < b) i++; break;
        case 9: b = -b; break;
        default: a ^= (int64_t)mix((uint64_t)b, i); break;
        }
    }
    return a + b * @K4@;
}
""",
    """
static struct node *insert_@N@(struct node *root, uint64_t key, const char *name)
{
    struct node **at = &root;
    while (*at != NULL) {
        if ((*at)->key == key) {
            (*at)->weight += @K1@;
            return root;
        }
        at = (*at)->key < key ? &(*at)->right : &(*at)->left;
    }
    struct node *made = calloc(1, sizeof *made);
    if (made == NULL)
        return root;
    made->key = key;
    made->weight = mix(key, @K2@);
    snprintf(made->name, sizeof made->name, "%s-%llu", name, (unsigned long long)(key % @K3@));
    *at = made;
    return root;
}

static uint64_t walk_@N@(const struct node *root, int depth)
{
    if (root == NULL || depth > @K4@)
        return @K2@;
    return mix(walk_@N@(root->left, depth + 1), walk_@N@(root->right, depth + 1)) + root->weight + strlen(root->name);
}
""",
    """
static double filter_@N@(double *samples, size_t count)
{
    double state[4] = {@K1@, @K2@, 0.5, -0.25}, sum = 0;
    for (size_t i = 0; i + 4 <= count; i += 4) {
        for (int j = 0; j < 4; j++) {
            double x = samples[i + j] * 0.@K3@ + state[j] * 0.@K4@;
            state[j] = state[(j + 1) & 3] - x * 0.125;
            samples[i + j] = x > 1e6 ? 1e6 : x < -1e6 ? -1e6 : x;
            sum += samples[i + j] * samples[i + 3 - j];
        }
    }
    return sum / (double)(count + 1);
}
""",
    """
static size_t scan_@N@(const char *text, char *out, size_t room)
{
    size_t used = 0, words = 0, line = 1;
    int state = @K1@ & 1;
    for (const char *p = text; *p != '\\0' && used + 8 < room; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '\\n')
            line++;
        if (c >= 'A' && c <= 'Z')
            c = (unsigned char)(c - 'A' + 'a');
        if ((c >= 'a' && c <= 'z') || c == '_') {
            words += state == 0;
            state = 1;
            out[used++] = (char)(c == 'z' ? 'a' : c + (line % @K2@ == 0));
        } else if (c >= '0' && c <= '9') {
            state = 2;
            out[used++] = (char)('0' + (c - '0' + @K3@) % 10);
        } else {
            if (state == 2)
                out[used++] = '#';
            state = 0;
        }
    }
    out[used] = '\\0';
    return words * @K4@ + used;
}
""",
    """
static uint32_t table_@N@(uint32_t *slots, uint32_t mask, uint32_t key)
{
    uint32_t at = (key * @K1@u) & mask, tries = 0;
    while (slots[at] != 0 && slots[at] != key) {
        at = (at + 1 + (tries & 3)) & mask;
        if (++tries > @K2@)
            return tries;
    }
    slots[at] = key;
    for (uint32_t i = 0; i < 16; i++)
        slots[(at + i) & mask] ^= (slots[(at + i * 3) & mask] >> (i & 7)) & 0;
    return (uint32_t)mix(at, tries) ^ (@K3@u << (key & 7)) ^ @K4@u;
}
""",
)

C_CALLS = ("acc ^= (uint64_t)switch_@N@(bytes, sizeof bytes, (int64_t)acc);",
           "root = insert_@N@(root, acc % 997, \"n@N@\");\n    acc += walk_@N@(root, 0);",
           "acc += (uint64_t)(int64_t)filter_@N@(samples, 64);",
           "acc += scan_@N@(\"Some Text_9 with 42 Words\\nand lines\", text, sizeof text);",
           "acc ^= table_@N@(slots, 255, (uint32_t)acc | 1);")


def c_source(rng, functions):
    """A translation unit of some 25 lines a function, of five shapes with different constants; it compiles quietly."""
    parts, calls = [C_HEAD], []
    for number in range(functions):
        shape = number % len(C_SHAPES)
        text = C_SHAPES[shape].replace("@N@", str(number))
        for constant in range(1, 5):
            text = text.replace(f"@K{constant}@", str(rng.randrange(3, 90)))
        parts.append(text)
        calls.append("    " + C_CALLS[shape].replace("@N@", str(number)))
    parts.append("\nuint64_t everything(uint64_t acc)\n{\n    static uint8_t bytes[256];\n    static double samples[64];\n"
                 "    static uint32_t slots[256];\n    static char text[128];\n    struct node *root = NULL;\n"
                 + "\n".join(calls) + "\n    return acc;\n}\n")
    return "".join(parts)


def _prime(rng, bits):
    while True:
        candidate = rng.getrandbits(bits) | 3 << (bits - 2) | 1
        if all(candidate % small for small in range(3, 2000, 2)) and pow(2, candidate - 1, candidate) == 1 \
                and pow(3, candidate - 1, candidate) == 1 and candidate % 65537 != 1:
            return candidate


def _der(tag, body):
    size = len(body)
    length = bytes([size]) if size < 128 else bytes([0x82]) + size.to_bytes(2, "big")
    return bytes([tag]) + length + body


def rsa_pem(rng, bits):
    """A private key in PKCS #1 form (RFC 8017, A.1.2)."""
    p, q = _prime(rng, bits // 2), _prime(rng, bits // 2)
    d = pow(65537, -1, (p - 1) * (q - 1))
    numbers = (0, p * q, 65537, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p))
    body = b"".join(_der(2, n.to_bytes(n.bit_length() // 8 + 1, "big")) for n in numbers)
    text = base64.encodebytes(_der(0x30, body)).decode().replace("\n", "")
    lines = "\n".join(text[i:i + 64] for i in range(0, len(text), 64))
    kind = "RSA PRIVATE KEY"
    return f"-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----\n"


def make(folder):
    """Writes every input below `folder`."""
    rng = random.Random(SEED)
    log = log_text(rng, LOG_LINES)
    files = {"log.txt": log, "source.c": c_source(rng, C_FUNCTIONS), "key.pem": rsa_pem(rng, RSA_BITS)}
    lines = log.splitlines(keepends=True)
    for number in range(TREE_FILES):
        start, count = rng.randrange(len(lines) - 200), rng.randrange(5, 120)
        files[f"tree/{WORDS[number % 7]}/{WORDS[number % 31]}-{number}.txt"] = "".join(lines[start:start + count])
    for name, text in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as stream:
            stream.write(text)
    with open(os.path.join(folder, "bulk.bin"), "wb") as stream:
        block = rng.randbytes(1 << 20)
        stream.write((block + log.encode()[:1 << 20]) * 8)
