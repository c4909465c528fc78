// SPDX-License-Identifier: MIT
// Owns "isomer run FILE...": what each file is decides what it becomes, by its content and never by its name; and
// "isomer demo", which runs a program of our own.
#include "base/error.h"
#include "control/cli/cli.h"
#include "control/demo/image.h"
#include "machines/loader.h"

#include <errno.h>
#include <string.h>

static int take(const char **place, const char *path, const char *what, struct error *err)
{
    if (*place)
        return error_set(err, -EINVAL, "run: '%s' and '%s' are both %s", *place, path, what);
    *place = path;
    return 0;
}

static int add_file(struct cli *cli, const char *path, struct error *err)
{
    enum file_kind kind;
    int r = loader_identify_file(path, &kind, err);
    if (r)
        return error_prefix(err, r, "run");
    switch (kind) {
    case FILE_ARM64_IMAGE:
    case FILE_ARM64_IMAGE_GZ:
    case FILE_ELF:
    case FILE_X86_KERNEL: // refused by the loader, which can say why
    case FILE_ARM32_KERNEL: return take(&cli->machine.kernel, path, "kernels", err);
    case FILE_DTB: return take(&cli->machine.dtb, path, "device trees", err);
    case FILE_CPIO: return take(&cli->machine.initrd, path, "initial RAM disks", err);
    case FILE_RAW: break;
    }
    const char *text = cli_keep(cli, "if=virtio,id=disk%zu,file=", cli->machine.drive_count);
    if (!text)
        return error_set(err, -EINVAL, "run: too many files");
    r = cli_add(cli, cli->drives, &cli->machine.drive_count, "run", text, NULL, err);
    struct keyval_list *list = &cli->drives[cli->machine.drive_count - 1];
    for (size_t i = 0; !r && i < list->count; i++)
        if (!strcmp(list->items[i].key, "file"))
            list->items[i].value = path; // as it is: a comma in a name means nothing here
    return r;
}

int cli_parse_run(struct cli *cli, int argc, char *const argv[], struct error *err)
{
    int files = 0, r = 0;
    while (files < argc && argv[files][0] != '-')
        files++;
    if (!files)
        return error_set(err, -EINVAL, "run needs a file to start from");
    cli->machine.cpu = "max";
    cli->machine.ram_size = 1ull << 30;
    for (int i = 0; !r && i < files; i++)
        r = add_file(cli, argv[i], err);
    enum cli_action action = CLI_RUN;
    if (!r) // options may follow and change the defaults
        r = cli_parse_options(cli, argc - files, argv + files, &action, err);
    if (!r && cli->machine.kernel && !cli->machine.append)
        cli->machine.append = cli->machine.drive_count && !cli->machine.initrd
                                  ? "console=ttyAMA0 earlycon root=/dev/vda rw"
                                  : "console=ttyAMA0 earlycon";
    if (!r && !cli->machine.kernel && !cli->machine.bios && cli->machine.drive_count)
        cli->machine.bios = "AAVMF_CODE.fd"; // UEFI, where Debian has it: starts what the disk holds
    if (!r && !cli->machine.kernel && !cli->machine.bios)
        r = error_set(err, -EINVAL, "run: none of the files is a kernel or a disk");
    return r;
}

int cli_parse_demo(struct cli *cli, int argc, char *const argv[], enum cli_action *action, struct error *err)
{
    enum { DEMO_CPUS = 2 };
    cli->machine.cpu = "max";
    cli->machine.cpu_count = DEMO_CPUS;
    cli->machine.kernel_data = demo_image;
    cli->machine.kernel_size = sizeof demo_image;
    return cli_parse_options(cli, argc, argv, action, err);
}
