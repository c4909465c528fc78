// SPDX-License-Identifier: MIT
// Owns the description of registers that GDB and LLDB read ("Target Descriptions" in GDB's manual), made from the
// guest's table: a feature of GDB's own for each group it knows, one of ours for system registers. A register's
// number is its place in the table.
#include "base/types.h"
#include "control/gdb/gdb_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Groups in the order of their features; a NULL feature continues the one before.
static const struct {
    const char *group, *feature, *gdb_group;
} groups[] = {
    {"general", "core", "general"},
    {"vector", "fpu", "vector"},
    {"float", NULL, "float"},
};

unsigned gdb_count_core_regs(const struct guest_isa *isa)
{
    for (unsigned i = 0; i < isa->debug_reg_count; i++) {
        bool known = false;
        for (size_t g = 0; g < ARRAY_SIZE(groups); g++)
            known |= !strcmp(isa->debug_regs[i].group, groups[g].group);
        if (!known)
            return i;
    }
    return isa->debug_reg_count;
}

static const char vector_types[] =
    "<vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/><vector id=\"v2u\" type=\"uint64\" count=\"2\"/>"
    "<vector id=\"v2i\" type=\"int64\" count=\"2\"/><vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>"
    "<vector id=\"v4u\" type=\"uint32\" count=\"4\"/><vector id=\"v4i\" type=\"int32\" count=\"4\"/>"
    "<vector id=\"v8u\" type=\"uint16\" count=\"8\"/><vector id=\"v8i\" type=\"int16\" count=\"8\"/>"
    "<vector id=\"v16u\" type=\"uint8\" count=\"16\"/><vector id=\"v16i\" type=\"int8\" count=\"16\"/>"
    "<vector id=\"v1u\" type=\"uint128\" count=\"1\"/><vector id=\"v1i\" type=\"int128\" count=\"1\"/>"
    "<union id=\"vnd\"><field name=\"f\" type=\"v2d\"/><field name=\"u\" type=\"v2u\"/><field name=\"s\" type=\"v2i\"/></union>"
    "<union id=\"vns\"><field name=\"f\" type=\"v4f\"/><field name=\"u\" type=\"v4u\"/><field name=\"s\" type=\"v4i\"/></union>"
    "<union id=\"vnh\"><field name=\"u\" type=\"v8u\"/><field name=\"s\" type=\"v8i\"/></union>"
    "<union id=\"vnb\"><field name=\"u\" type=\"v16u\"/><field name=\"s\" type=\"v16i\"/></union>"
    "<union id=\"vnq\"><field name=\"u\" type=\"v1u\"/><field name=\"s\" type=\"v1i\"/></union>"
    "<union id=\"vreg\"><field name=\"d\" type=\"vnd\"/><field name=\"s\" type=\"vns\"/><field name=\"h\" type=\"vnh\"/>"
    "<field name=\"b\" type=\"vnb\"/><field name=\"q\" type=\"vnq\"/></union>\n";

static const char *type_of(const struct guest_debug_reg *reg)
{
    if (reg->bits == 128)
        return "vreg";
    if (!strcmp(reg->name, "pc"))
        return "code_ptr";
    if (!strcmp(reg->name, "sp"))
        return "data_ptr";
    return "int";
}

static void print_group(FILE *out, const struct guest_isa *isa, const char *group, const char *gdb_group)
{
    for (unsigned i = 0; i < isa->debug_reg_count; i++) {
        const struct guest_debug_reg *reg = &isa->debug_regs[i];
        if (!strcmp(reg->group, group))
            fprintf(out, "<reg name=\"%s\" bitsize=\"%u\" regnum=\"%u\" type=\"%s\" group=\"%s\"%s/>\n", reg->name,
                    reg->bits, i, type_of(reg), gdb_group, strcmp(group, "system") ? "" : " save-restore=\"no\"");
    }
}

int gdb_make_xml(const struct guest_isa *isa, char **ret_xml, size_t *ret_len)
{
    const char *prefix = isa->gdb_feature_prefix, *dot = strrchr(prefix, '.');
    FILE *out = open_memstream(ret_xml, ret_len);
    if (!out)
        return -ENOMEM;
    fprintf(out, "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target version=\"1.0\">\n"
                 "<architecture>%s</architecture>\n", dot ? dot + 1 : prefix);
    for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
        if (groups[i].feature)
            fprintf(out, "%s<feature name=\"%s.%s\">\n%s", i ? "</feature>\n" : "", prefix, groups[i].feature,
                    strcmp(groups[i].group, "vector") ? "" : vector_types);
        print_group(out, isa, groups[i].group, groups[i].gdb_group);
    }
    fprintf(out, "</feature>\n<feature name=\"org.isomer.%s.system\">\n", isa->ir.name);
    print_group(out, isa, "system", "system");
    fprintf(out, "</feature>\n</target>\n");
    if (fclose(out)) {
        free(*ret_xml);
        return -ENOMEM;
    }
    return 0;
}
