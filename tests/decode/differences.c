// SPDX-License-Identifier: MIT
// Owns the reading and matching of differences.txt; see differences.h for its language.
#include "tests/decode/differences.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_LINES = 400,
    MAX_TERMS = 4,
};

const char *const difference_kind_names[] = {"ours", "llvm", "unlisted", "later", "name", "text"};

struct term {
    char left[16], right[16];
    bool equal;
};

struct difference {
    enum difference_kind kind;
    unsigned line;
    char subject[64];
    uint32_t mask, value; // where the subject is a pattern
    bool pattern;
    struct term terms[MAX_TERMS];
    unsigned term_count;
    uint64_t used;
};

struct differences {
    struct difference lines[MAX_LINES];
    unsigned count;
};

static bool parse_pattern(struct difference *d)
{
    unsigned bits = 0;

    if (strspn(d->subject, "01x_") != strlen(d->subject))
        return false;
    for (const char *p = d->subject; *p; p++) {
        if (*p == '_')
            continue;
        d->mask = d->mask << 1 | (*p != 'x');
        d->value = d->value << 1 | (*p == '1');
        bits++;
    }
    return bits == 32;
}

static bool known_row(const char *name)
{
    for (unsigned i = 0; i < A64_ROW_COUNT; i++)
        if (!strcmp(a64_rows[i].name, name))
            return true;
    return !strcmp(name, "*");
}

static bool parse_line(char *text, struct difference *d)
{
    char *reason = strstr(text, " : ");
    char *save, *word = strtok_r(text, " ", &save);

    if (!reason || !reason[3])
        return false;
    *reason = 0;
    for (d->kind = 0; d->kind <= DIFFERENCE_TEXT; d->kind++)
        if (!strcmp(difference_kind_names[d->kind], word))
            break;
    word = strtok_r(NULL, " ", &save);
    if (d->kind > DIFFERENCE_TEXT || !word || strlen(word) >= sizeof(d->subject))
        return false;
    strcpy(d->subject, word);
    d->pattern = parse_pattern(d);
    if (d->kind == DIFFERENCE_NAME ? !strchr(word, '/') : !d->pattern && !known_row(word))
        return false;
    while ((word = strtok_r(NULL, " ", &save))) {
        struct term *t = &d->terms[d->term_count++];
        char *left = strtok_r(NULL, " ", &save), *op = strtok_r(NULL, " ", &save),
             *right = strtok_r(NULL, " ", &save);
        if (d->term_count > MAX_TERMS || strcmp(word, d->term_count == 1 ? "when" : "and") || !right)
            return false;
        snprintf(t->left, sizeof(t->left), "%s", left);
        snprintf(t->right, sizeof(t->right), "%s", right);
        t->equal = !strcmp(op, "==");
        if (!t->equal && strcmp(op, "!="))
            return false;
    }
    return true;
}

struct differences *differences_load(const char *path)
{
    FILE *f = path ? fopen(path, "r") : NULL;
    struct differences *d = calloc(1, sizeof(*d));
    char line[256];
    bool ok = f && d;

    for (unsigned number = 1; ok && fgets(line, sizeof(line), f); number++) {
        line[strcspn(line, "\n")] = 0;
        if (!line[0] || line[0] == '#')
            continue;
        ok = d->count < MAX_LINES;
        if (ok) {
            d->lines[d->count].line = number;
            ok = parse_line(line, &d->lines[d->count++]);
        }
        if (!ok)
            printf("%s:%u: not a difference\n", path, number);
    }
    if (f)
        fclose(f);
    else
        printf("no table of differences\n");
    if (ok)
        return d;
    free(d);
    return NULL;
}

void differences_free(struct differences *d)
{
    free(d);
}

// A number, or the value of a field of the instruction's row; false where the row has no such field.
static bool value_of(const struct a64_insn *insn, const char *name, uint32_t *ret)
{
    if (name[0] >= '0' && name[0] <= '9') {
        *ret = strtoul(name, NULL, 0);
        return true;
    }
    if (!strcmp(name, "unpredictable")) {
        *ret = a64_unpredictable(insn);
        return true;
    }
    for (unsigned i = 0; insn->row < A64_ROW_COUNT && i < a64_rows[insn->row].field_count; i++) {
        const struct a64_field *f = &a64_rows[insn->row].fields[i];
        if (!strcmp(f->name, name)) {
            *ret = insn->word >> f->lsb & (uint32_t)((1ull << f->width) - 1);
            return true;
        }
    }
    return false;
}

static bool terms_hold(const struct difference *d, const struct a64_insn *insn)
{
    for (unsigned i = 0; i < d->term_count; i++) {
        uint32_t a, b;
        if (!value_of(insn, d->terms[i].left, &a) || !value_of(insn, d->terms[i].right, &b))
            return false;
        if ((a == b) != d->terms[i].equal)
            return false;
    }
    return true;
}

static bool names_match(const char *subject, const char *ours, const char *theirs)
{
    size_t left = strcspn(subject, "/"), our_len = strcspn(ours, " "), their_len = strcspn(theirs, " ");
    const char *right = subject + left + 1;
    bool left_ok = (left == 1 && subject[0] == '*') || (our_len == left && !strncmp(ours, subject, left));

    return left_ok && strlen(right) == their_len && !strncmp(right, theirs, their_len);
}

bool differences_explain(struct differences *d, enum difference_kind kind, const struct a64_insn *insn,
                         const char *ours, const char *theirs)
{
    for (unsigned i = 0; i < d->count; i++) {
        struct difference *line = &d->lines[i];
        bool match = line->kind == kind && terms_hold(line, insn);
        if (match && kind == DIFFERENCE_NAME)
            match = names_match(line->subject, ours, theirs);
        else if (match && line->pattern)
            match = (insn->word & line->mask) == line->value;
        else if (match)
            match = !strcmp(line->subject, "*") ||
                    (insn->row < A64_ROW_COUNT && !strcmp(a64_rows[insn->row].name, line->subject));
        if (match) {
            line->used++;
            return true;
        }
    }
    return false;
}

unsigned differences_unused(const struct differences *d, bool print)
{
    unsigned unused = 0;

    for (unsigned i = 0; i < d->count; i++)
        if (!d->lines[i].used) {
            unused++;
            if (print)
                printf("differences.txt:%u explained nothing\n", d->lines[i].line);
        }
    return unused;
}
