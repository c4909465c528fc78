// SPDX-License-Identifier: MIT
// Owns the commands of "isomer img" but convert: their options, their output, and how findings become an exit
// status. Options that only tune qemu-img's own way of working are accepted and mean nothing.
#include "control/img/img.h"
#include "base/error.h"
#include "base/types.h"
#include "control/img/img_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct command {
    const char *name, *letters; // a ':' behind a letter: it takes a value
    int min_names, max_names;
    int (*run)(struct img *img, struct error *err);
    const char *usage;
};

int img_creation(struct img *img, const char *format, struct image_create *create, struct error *err)
{
    struct keyval_list *o = &img->extra;
    create->format = format;
    create->backing = img->values['b'] ? img->values['b'] : keyval_get(o, "backing_file");
    create->backing_format = img->values['F'] ? img->values['F'] : keyval_get(o, "backing_fmt");
    const char *compat = keyval_get(o, "compat"), *type = keyval_get(o, "compression_type"),
               *preallocation = keyval_get(o, "preallocation");
    uint64_t bits = 0;
    int r = keyval_size(o, "cluster_size", 1, &create->cluster_size, err);
    if (!r)
        r = keyval_size(o, "size", 1, &create->size, err);
    if (!r)
        r = keyval_u64(o, "refcount_bits", &bits, err);
    if (!r)
        r = keyval_bool(o, "lazy_refcounts", &create->lazy_refcounts, err);
    if (r)
        return r;
    if (bits > 64)
        return error_set(err, -EINVAL, "refcount_bits must be a power of two up to 64");
    create->refcount_bits = (unsigned)bits;
    if (compat && strcmp(compat, "0.10") && strcmp(compat, "v2") && strcmp(compat, "1.1") &&
        strcmp(compat, "v3"))
        return error_set(err, -EINVAL, "compat is 0.10 or 1.1, not '%s'", compat);
    create->version = !compat ? 0 : strcmp(compat, "0.10") && strcmp(compat, "v2") ? 3 : 2;
    if (type && strcmp(type, "zlib") && strcmp(type, "zstd"))
        return error_set(err, -EINVAL, "compression_type is zlib or zstd, not '%s'", type);
    create->zstd = type && !strcmp(type, "zstd");
    if (preallocation && strcmp(preallocation, "off"))
        return error_set(err, -ENOTSUP, "preallocation=%s is not supported", preallocation);
    if (keyval_unused(o))
        return error_set(err, -EINVAL, "-o: there is no option '%s'", keyval_unused(o));
    return 0;
}

static int create(struct img *img, struct error *err)
{
    const char *format = img->values['f'] ? img->values['f'] : "raw";
    struct image_create c = {.path = img->names[0], .size = UINT64_MAX};
    int r = img_creation(img, format, &c, err);
    if (!r && img->name_count > 1)
        r = keyval_parse_size("the size", img->names[1], 1, &c.size, err);
    if (!r && c.size != UINT64_MAX)
        c.size = (c.size + 511) & ~511ull;
    if (!r)
        r = image_create(&c, err);
    if (!r && !img->given['q'])
        fprintf(img->out, "Formatting '%s', fmt=%s\n", c.path, format);
    return r;
}

static int open_image(struct img *img, bool readonly, bool as_is, struct image **ret_image, struct error *err)
{
    struct image_options options = {.path = img->names[0],
                                    .format = img->values['f'],
                                    .readonly = readonly,
                                    .unlocked = img->given['U'],
                                    .unmap = true,
                                    .no_backing = as_is,
                                    .as_is = as_is};
    return image_open(&options, ret_image, err);
}

// As people write sizes: three digits and a unit.
static const char *human(uint64_t bytes, char *buf, size_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    unsigned unit = 0;
    for (; value >= 1024 && unit < 6; unit++)
        value /= 1024;
    snprintf(buf, size, "%.3g %s", value, units[unit]);
    return buf;
}

static void print_snapshots(FILE *out, const struct image_snapshot *list, size_t count)
{
    fprintf(out, "Snapshot list:\nID        TAG               VM SIZE                DATE     VM CLOCK\n");
    for (size_t i = 0; i < count; i++) {
        char date[32] = "", state[32];
        time_t seconds = list[i].date_s;
        struct tm tm;
        if (localtime_r(&seconds, &tm))
            strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", &tm);
        uint64_t ms = list[i].vm_clock_ns / 1000000, s = ms / 1000;
        fprintf(out, "%-9s %-17s %8s %s %02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 ".%03" PRIu64 "\n",
                list[i].id, list[i].name, human(list[i].vm_state_size, state, sizeof state), date, s / 3600,
                s / 60 % 60, s % 60, ms % 1000);
    }
}

static void print_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++)
        if ((unsigned char)*text < 0x20)
            fprintf(out, "\\u%04x", *text);
        else
            fprintf(out, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    fputc('"', out);
}

static void print_json(FILE *out, const char *path, const struct image_info *info)
{
    fprintf(out, "{\n    \"virtual-size\": %" PRIu64 ",\n    \"filename\": ", info->size);
    print_text(out, path);
    if (info->cluster_size)
        fprintf(out, ",\n    \"cluster-size\": %" PRIu64, info->cluster_size);
    fprintf(out, ",\n    \"format\": \"%s\",\n    \"actual-size\": %" PRIu64, info->format, info->allocated);
    if (info->backing) {
        fprintf(out, ",\n    \"backing-filename\": ");
        print_text(out, info->backing);
    }
    if (info->backing_format) {
        fprintf(out, ",\n    \"backing-filename-format\": ");
        print_text(out, info->backing_format);
    }
    fprintf(out, ",\n    \"dirty-flag\": %s\n}\n", info->dirty ? "true" : "false");
}

static void print_info(FILE *out, const char *path, const struct image_info *info)
{
    char size[32], allocated[32];
    fprintf(out, "image: %s\nfile format: %s\nvirtual size: %s (%" PRIu64 " bytes)\ndisk size: %s\n", path,
            info->format, human(info->size, size, sizeof size), info->size,
            human(info->allocated, allocated, sizeof allocated));
    if (info->cluster_size)
        fprintf(out, "cluster_size: %" PRIu64 "\n", info->cluster_size);
    if (info->backing)
        fprintf(out, "backing file: %s\n", info->backing);
    if (info->backing_format)
        fprintf(out, "backing file format: %s\n", info->backing_format);
}

static int info(struct img *img, struct error *err)
{
    const char *output = img->values['O'];
    struct image *image;
    if (output && strcmp(output, "human") && strcmp(output, "json"))
        return error_set(err, -EINVAL, "--output is human or json, not '%s'", output);
    int r = open_image(img, true, true, &image, err);
    if (r)
        return r;
    struct image_info i;
    struct image_snapshot *list = NULL;
    size_t count = 0;
    image_get_info(image, &i);
    if (i.cluster_size)
        r = image_snapshot_list(image, &list, &count, err);
    if (!r && output && !strcmp(output, "json")) {
        print_json(img->out, img->names[0], &i);
    } else if (!r) {
        print_info(img->out, img->names[0], &i);
        if (count)
            print_snapshots(img->out, list, count);
        if (i.cluster_size)
            fprintf(img->out,
                    "Format specific information:\n    compat: %s\n    compression type: %s\n    lazy "
                    "refcounts: %s\n"
                    "    refcount bits: %u\n    corrupt: %s\n    dirty: %s\n",
                    i.version == 2 ? "0.10" : "1.1", i.zstd ? "zstd" : "zlib",
                    i.lazy_refcounts ? "true" : "false", i.refcount_bits, i.corrupt ? "true" : "false",
                    i.dirty ? "true" : "false");
    }
    free(list);
    image_close(image);
    return r;
}

static void print_finding(void *opaque, const char *text)
{
    fprintf(opaque, "%s\n", text);
}

static int report(const struct img *img, const struct image_check *c)
{
    FILE *out = img->out;
    if (c->errors_fixed || c->leaks_fixed)
        fprintf(out, "%" PRIu64 " errors and %" PRIu64 " leaks were repaired.\n", c->errors_fixed,
                c->leaks_fixed);
    if (c->errors)
        fprintf(out,
                "%" PRIu64
                " errors were found on the image.\nData may be corrupted, or further writes to the "
                "image may corrupt it.\n",
                c->errors);
    if (c->leaks)
        fprintf(out,
                "%" PRIu64
                " leaked clusters were found on the image.\nThis means waste of disk space, but no "
                "harm to data.\n",
                c->leaks);
    if (!c->errors && !c->leaks && !img->given['q'])
        fprintf(out, "No errors were found on the image.\n");
    if (!img->given['q'])
        fprintf(out,
                "%" PRIu64 "/%" PRIu64 " clusters allocated, %" PRIu64
                " of them compressed\nImage end offset: "
                "%" PRIu64 "\n",
                c->allocated, c->clusters, c->compressed, c->end);
    return c->errors ? IMG_ERRORS : c->leaks ? IMG_LEAKS : IMG_OK;
}

static int check(struct img *img, struct error *err)
{
    const char *repair = img->values['r'], *output = img->values['O'];
    enum image_repair mode = !repair                    ? IMAGE_REPAIR_NOTHING
                             : !strcmp(repair, "leaks") ? IMAGE_REPAIR_LEAKS
                                                        : IMAGE_REPAIR_ALL;
    if (repair && strcmp(repair, "leaks") && strcmp(repair, "all"))
        return error_set(err, -EINVAL, "-r is leaks or all, not '%s'", repair);
    if (output && strcmp(output, "human"))
        return error_set(err, -ENOTSUP, "check knows --output=human only");
    struct image *image;
    int r = open_image(img, !mode, true, &image, err);
    if (r)
        return r;
    struct image_check result;
    struct image_info i;
    image_get_info(image, &i);
    r = image_check(image, mode, img->given['q'] ? NULL : print_finding, img->out, &result, err);
    int status = r ? (i.cluster_size ? IMG_FAILED : IMG_NO_CHECK) : report(img, &result);
    int closed = image_close(image);
    if (r)
        return i.cluster_size ? r : IMG_NO_CHECK;
    return closed ? error_set(err, closed, "cannot write the image: %s", strerror(-closed)) : status;
}

static int resize(struct img *img, struct error *err)
{
    const char *text = img->names[1];
    struct image *image;
    uint64_t size;
    int r = keyval_parse_size("the size", text + (text[0] == '+' || text[0] == '-'), 1, &size, err);
    if (!r)
        r = open_image(img, false, false, &image, err);
    if (r)
        return r;
    uint64_t old = image_size(image);
    if ((text[0] == '-' && size > old) || (text[0] == '+' && size > INT64_MAX - old))
        r = error_set(err, -EINVAL, "the size would be out of range");
    size = text[0] == '+' ? old + size : text[0] == '-' ? old - size : size;
    if (!r)
        r = image_resize(image, (size + 511) & ~511ull, img->given['s'], err);
    int closed = image_close(image);
    if (!r && closed)
        r = error_set(err, closed, "cannot write the image: %s", strerror(-closed));
    if (!r && !img->given['q'])
        fprintf(img->out, "Image resized.\n");
    return r;
}

static int snapshot(struct img *img, struct error *err)
{
    static const char letters[] = "acd";
    char what = 'l';
    for (unsigned i = 0; i < 3; i++)
        if (img->values[(int)letters[i]]) {
            if (what != 'l')
                return error_set(err, -EINVAL, "snapshot does one of -l, -a, -c and -d at a time");
            what = letters[i];
        }
    const char *name = what == 'l' ? NULL : img->values[(int)what];
    struct image_snapshot new = {0}, *list = NULL;
    struct timespec now;
    struct image *image;
    size_t count;
    if (name && strlen(name) >= sizeof new.name)
        return error_set(err, -EINVAL, "the name of a snapshot has at most %zu characters",
                         sizeof new.name - 1);
    int r = open_image(img, what == 'l', false, &image, err);
    if (r)
        return r;
    switch (what) {
    case 'l':
        r = image_snapshot_list(image, &list, &count, err);
        if (!r && count)
            print_snapshots(img->out, list, count);
        free(list);
        break;
    case 'a': r = image_snapshot_apply(image, name, err); break;
    case 'd': r = image_snapshot_delete(image, name, err); break;
    default:
        clock_gettime(CLOCK_REALTIME, &now);
        memcpy(new.name, name, strlen(name));
        new.date_s = (uint32_t)now.tv_sec;
        new.date_ns = (uint32_t)now.tv_nsec;
        r = image_snapshot_create(image, &new, err);
        break;
    }
    int closed = image_close(image);
    return !r && closed ? error_set(err, closed, "cannot write the image: %s", strerror(-closed)) : r;
}

static const struct command commands[] = {
    {"create", "qf:b:F:o:", 1, 2, create,
     "create [-q] [-f FORMAT] [-b BACKING -F FORMAT] [-o OPTIONS] FILE [SIZE]"},
    {"convert", "qpcnUf:O:o:B:F:l:t:T:m:WS:", 2, 2, img_convert,
     "convert [-c] [-n] [-f FORMAT] [-O FORMAT] [-B BACKING -F FORMAT] [-o OPTIONS] [-l SNAPSHOT] FILE FILE"},
    {"check", "qUf:r:T:", 1, 1, check, "check [-q] [-f FORMAT] [-r leaks|all] FILE"},
    {"info", "Uf:", 1, 1, info, "info [-U] [-f FORMAT] [--output=human|json] FILE"},
    {"resize", "qf:", 2, 2, resize, "resize [-q] [-f FORMAT] [--shrink] FILE [+|-]SIZE"},
    {"snapshot", "qUla:c:d:", 1, 1, snapshot, "snapshot [-l | -a NAME | -c NAME | -d NAME] FILE"},
};

static int usage(FILE *out)
{
    fprintf(out, "Usage: isomer img COMMAND ...\n");
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        fprintf(out, "  %s\n", commands[i].usage);
    return IMG_OK;
}

// One option at argv[*at]; *at is left at its last word.
static int take_option(const struct command *command, struct img *img, int argc, char *const argv[], int *at,
                       struct error *err)
{
    const char *word = argv[*at] + 1;
    if (!strncmp(word, "-output=", 8)) {
        img->values['O'] = word + 8;
        return strchr("ci", command->name[0]) ? 0
                                              : error_set(err, -EINVAL, "there is no option '%s'", argv[*at]);
    }
    if (!strcmp(word, "-shrink") && command->run == resize) {
        img->given['s'] = true;
        return 0;
    }
    for (; *word; word++) {
        const char *known = *word > 0 && *word != ':' ? strchr(command->letters, *word) : NULL;
        if (!known)
            return error_set(err, -EINVAL, "there is no option '%s'; it is: isomer img %s", argv[*at],
                             command->usage);
        img->given[(int)*known] = true;
        if (known[1] != ':')
            continue;
        const char *value = word[1] ? word + 1 : *at + 1 < argc ? argv[++*at] : NULL;
        if (!value)
            return error_set(err, -EINVAL, "option '-%c' needs an argument", *known);
        img->values[(int)*known] = value;
        if (*known != 'o')
            return 0;
        if (img->extra.items)
            return error_set(err, -EINVAL, "-o is given twice; write one list");
        return keyval_parse(value, NULL, &img->extra, err);
    }
    return 0;
}

static int run(const struct command *command, struct img *img, int argc, char *const argv[],
               struct error *err)
{
    bool options = true;
    for (int i = 0; i < argc; i++) {
        if (options && !strcmp(argv[i], "--")) {
            options = false;
        } else if (options && argv[i][0] == '-' && argv[i][1] &&
                   !(command->run == resize && img->name_count == 1)) {
            int r = take_option(command, img, argc, argv, &i, err);
            if (r)
                return r;
        } else if (img->name_count == command->max_names) {
            return error_set(err, -EINVAL, "'%s' is too much; it is: isomer img %s", argv[i], command->usage);
        } else {
            img->names[img->name_count++] = argv[i];
        }
    }
    if (img->name_count < command->min_names)
        return error_set(err, -EINVAL, "something is missing; it is: isomer img %s", command->usage);
    return command->run(img, err);
}

int img_main(int argc, char *const argv[], FILE *out)
{
    struct error err = {0};
    struct img *img = calloc(1, sizeof *img);
    size_t i = 0;
    if (!img)
        return IMG_FAILED;
    img->out = out;
    if (argc && (!strcmp(argv[0], "-h") || !strcmp(argv[0], "--help"))) {
        free(img);
        return usage(out);
    }
    while (argc && i < ARRAY_SIZE(commands) && strcmp(commands[i].name, argv[0]))
        i++;
    int r = !argc ? error_set(&err, -EINVAL, "a command is missing (try isomer img --help)")
            : i == ARRAY_SIZE(commands)
                ? error_set(&err, -EINVAL, "there is no command '%s' (try isomer img --help)", argv[0])
                : run(&commands[i], img, argc - 1, argv + 1, &err);
    if (err.text[0])
        fprintf(stderr, "isomer img: %s\n", err.text);
    if (fflush(out) && r >= 0)
        r = -EIO;
    keyval_free(&img->extra);
    free(img);
    return r < 0 ? IMG_FAILED : r;
}
