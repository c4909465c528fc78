// SPDX-License-Identifier: MIT
// Command lines, a word a line, read into a configuration (cli_parse), with their lists' values as numbers,
// sizes and switches (base/keyval.h). Nothing is opened and nothing runs.
#include "control/cli/cli.h"
#include "base/error.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_WORDS = 200 };

static void convert(struct keyval_list *lists, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < lists[i].count; k++) {
            const char *key = lists[i].items[k].key;
            uint64_t number;
            bool on;
            FUZZ_CHECK(keyval_get(&lists[i], key));
            keyval_u64(&lists[i], key, &number, NULL);
            keyval_size(&lists[i], key, 1 << 20, &number, NULL);
            keyval_bool(&lists[i], key, &on, NULL);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = calloc(1, size + 1), *rest = text, *words[MAX_WORDS + 1];
    struct cli *cli = calloc(1, sizeof *cli);
    struct error err = {0};
    enum cli_action action;
    char *help = NULL;
    size_t help_size;
    FILE *out = open_memstream(&help, &help_size);
    int count = 0;
    memcpy(text, data, size);
    while (count < MAX_WORDS && (words[count] = strsep(&rest, "\n")))
        count++;
    words[count] = NULL;
    // A file of "run FILE" would be looked at.
    if (strcmp(words[0], "run")) {
        if (cli_parse(cli, count, words, out, &action, &err))
            FUZZ_CHECK(err.text[0]);
        convert(cli->devices, cli->machine.device_count);
        convert(cli->drives, cli->machine.drive_count);
        convert(cli->chardevs, cli->machine.chardev_count);
        convert(cli->netdevs, cli->machine.netdev_count);
        FUZZ_CHECK(cli->serial_count <= MACHINE_MAX_SERIALS && cli->monitor_count <= CLI_MAX_MONITORS);
    }
    cli_free(cli);
    fclose(out);
    free(help);
    free(cli);
    free(text);
    return 0;
}
