#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Generator for the A64 decode tables: one source, four products.

    gen_decode.py --operands operands.def TABLE... ACTION

    --header OUT.h --source OUT.c    decoder, row and field tables
    --report                         the rows by class and feature
    --report --covered NAMES         which live rows a file of row names lacks, and the share it has
    --check                          errors only

The language of a table (a # opens a comment, indented lines belong to the row above):

    let NAME = CONDITION                  a name for a condition, in this and all later tables
    [class=CLASS feature=FEATURE]         holds for the rows that follow
    NAME PATTERN "ASSEMBLY"               a live row; a translator function is named after it
    NAME PATTERN later FEATURE "reason"   of a later architecture version: UNDEFINED today, but listed
        unless CONDITION                  where true the encoding is UNALLOCATED or another row's
        unpredictable CONDITION           CONSTRAINED UNPREDICTABLE: decodes all the same
        alias "ASSEMBLY" when CONDITION   preferred disassembly, first match wins

A row may break before its assembly or "later"; it may have several "unless". PATTERN is 32 bits, most
significant first: 0 and 1, name:width for a field, and (0) or (1) for a bit that should have that value but
is not checked. CONDITION is a Python expression of fields, integers, comparisons, + - & | << >>, and, or,
not, in. ASSEMBLY is text with {kind:field} or {kind} operands; operands.def lists the kinds.

Two rows may overlap in their patterns only where their conditions keep them apart for every word: all
values of the bits the conditions read are tried. What is ambiguous, never allocated, or ruled out by nothing
is an error.
"""
import argparse
import ast
import os
import re
import sys
from collections import Counter

CLASSES = ('integer', 'branch', 'exception', 'system', 'memory', 'fp', 'simd', 'crypto')
FEATURES = ('BASE', 'FP', 'SIMD', 'CRC32', 'AES', 'PMULL', 'SHA1', 'SHA256')
MAX_CONDITION_BITS = 18


class TableError(Exception):
    pass


class Condition:
    """A condition over the fields of a row, as a Python function of the word and as a C expression of w."""

    BINARY = {ast.Add: '+', ast.Sub: '-', ast.BitAnd: '&', ast.BitOr: '|', ast.LShift: '<<', ast.RShift: '>>'}
    COMPARE = {ast.Eq: '==', ast.NotEq: '!=', ast.Lt: '<', ast.LtE: '<=', ast.Gt: '>', ast.GtE: '>='}

    def __init__(self, text, fields, lets):
        self.mask = 0
        self.fields = fields
        for _ in range(8):
            text = re.sub(r'[A-Za-z_]\w*', lambda m: '(%s)' % lets[m[0]] if m[0] in lets else m[0], text)
        self.text = text
        try:
            tree = ast.parse(text.strip(), mode='eval').body
        except SyntaxError:
            raise TableError('bad condition: ' + text)
        self.c, python = self.emit(tree)
        self.holds = eval('lambda w: bool(%s)' % python)

    def emit(self, node):
        """Returns (C text, Python text), both fully parenthesised."""
        if isinstance(node, ast.Name):
            if node.id not in self.fields:
                raise TableError('no field %s in the pattern' % node.id)
            lsb, width = self.fields[node.id]
            self.mask |= ((1 << width) - 1) << lsb
            text = '(w >> %d & %d)' % (lsb, (1 << width) - 1)
            return text, text
        if isinstance(node, ast.Constant) and type(node.value) is int:
            return str(node.value), str(node.value)
        if isinstance(node, ast.BinOp) and type(node.op) in self.BINARY:
            op = ' %s ' % self.BINARY[type(node.op)]
            a, b = self.emit(node.left), self.emit(node.right)
            return '(%s%s%s)' % (a[0], op, b[0]), '(%s%s%s)' % (a[1], op, b[1])
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            c, p = self.emit(node.operand)
            return '!' + c if c[0] == '(' else '!(%s)' % c, '(not %s)' % p
        if isinstance(node, ast.BoolOp):
            parts = [self.emit(v) for v in node.values]
            c, p = (' && ', ' and ') if isinstance(node.op, ast.And) else (' || ', ' or ')
            return '(%s)' % c.join(x[0] for x in parts), '(%s)' % p.join(x[1] for x in parts)
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            op, left, right = node.ops[0], self.emit(node.left), node.comparators[0]
            if type(op) in self.COMPARE:
                right, sign = self.emit(right), ' %s ' % self.COMPARE[type(op)]
                return '(%s%s%s)' % (left[0], sign, right[0]), '(%s%s%s)' % (left[1], sign, right[1])
            if isinstance(op, (ast.In, ast.NotIn)) and isinstance(right, ast.Tuple):
                values = [self.emit(e) for e in right.elts]
                c = '(%s)' % ' || '.join('%s == %s' % (left[0], v[0]) for v in values)
                p = '(%s in (%s,))' % (left[1], ', '.join(v[1] for v in values))
                return ('(!%s)' % c, '(not %s)' % p) if isinstance(op, ast.NotIn) else (c, p)
        raise TableError('condition uses what this language lacks: ' + ast.dump(node))


class Row:
    def __init__(self, name, where, pattern, klass, feature):
        self.name, self.where, self.klass, self.feature = name, where, klass, feature
        self.asm, self.reason, self.unless, self.aliases = None, None, None, []
        self.unpredictable = None
        self.mask = self.value = self.should_mask = self.should_value = 0
        self.fields = {}
        self.pattern = ' '.join(pattern.split())
        self.parse_pattern(pattern)

    @property
    def live(self):
        return self.reason is None

    def parse_pattern(self, pattern):
        tokens = re.findall(r'\(([01])\)|([a-z]\w*):(\d+)|([01])|(\S)', pattern)
        used = sum(int(t[2] or 1) for t in tokens)
        if any(t[4] for t in tokens):
            raise TableError('%s: bad pattern: %s' % (self.name, pattern))
        if used != 32:
            raise TableError('%s: pattern has %d bits, not 32' % (self.name, used))
        pos = 32
        for should, field, width, literal, _ in tokens:
            width = int(width or 1)
            pos -= width
            if should:
                self.should_mask |= 1 << pos
                self.should_value |= int(should) << pos
            elif field:
                if field in self.fields:
                    raise TableError('%s: field %s appears twice' % (self.name, field))
                self.fields[field] = (pos, width)
            else:
                self.mask |= 1 << pos
                self.value |= int(literal) << pos

    def allocated(self, w):
        return not (self.unless and self.unless.holds(w))


def spread(mask):
    """All words whose bits lie within mask."""
    sub = 0
    while True:
        yield sub
        if sub == mask:
            return
        sub = (sub - mask) & mask


class Table:
    def __init__(self, operands):
        self.rows, self.lets, self.operands = [], {}, operands
        self.names = {}

    def load(self, path):
        klass = feature = row = None
        begun = ''
        with open(path) as f:
            for number, line in enumerate(f, 1):
                where = '%s:%d' % (os.path.basename(path), number)
                line = strip_comment(line)
                try:
                    if not line.strip():
                        continue
                    if begun:
                        line, begun = '%s %s' % (begun, line.strip()), ''
                    elif re.match(r'(?!let )\w+ [^"]*$', line):
                        begun = line
                        continue
                    if line[0] in ' \t':
                        if not row:
                            raise TableError('no row to continue')
                        self.continuation(row, line.strip())
                    elif line.startswith('let '):
                        name, _, text = line[4:].partition('=')
                        self.lets[name.strip()] = text.strip()
                    elif line[0] == '[':
                        klass, feature = self.header(line)
                    else:
                        row = self.row(line, where, klass, feature)
                except TableError as e:
                    raise TableError('%s: %s' % (where, e))
        if begun:
            raise TableError('%s: %s' % (where, 'row without an assembly: ' + begun.strip()))
        for row in self.rows:
            self.check_condition(row)

    def header(self, line):
        m = re.fullmatch(r'\[class=(\w+) feature=(\w+)\]', line.strip())
        if not m or m[1] not in CLASSES or m[2] not in FEATURES:
            raise TableError('bad header: ' + line.strip())
        return m[1], m[2]

    def row(self, line, where, klass, feature):
        m = re.fullmatch(r'(\w+)\s+([^"]*?)\s*(?:later (\w+)\s+)?"([^"]*)"', line.strip())
        if not m:
            raise TableError('neither a row nor anything else: ' + line.strip())
        if not klass:
            raise TableError('row before any [class= feature=]')
        if m[1] in self.names:
            raise TableError('%s: name already used at %s' % (m[1], self.names[m[1]].where))
        row = Row(m[1], where, m[2], klass, m[3] or feature)
        if m[3]:
            row.reason = m[4]
            if m[3] in FEATURES:
                raise TableError('%s: %s is a feature we have' % (row.name, m[3]))
        else:
            row.asm = m[4]
            self.check_asm(row, m[4])
        self.names[row.name] = row
        self.rows.append(row)
        return row

    def continuation(self, row, text):
        m = re.fullmatch(r'alias\s+"([^"]*)"\s+when (.*)', text)
        if m and row.live:
            self.check_asm(row, m[1])
            row.aliases.append((m[1], Condition(m[2], row.fields, self.lets)))
        elif text.startswith('unpredictable ') and row.live and not row.unpredictable:
            row.unpredictable = Condition(text[14:], row.fields, self.lets)
        elif text.startswith('unless '):
            before = '(%s) or ' % row.unless.text if row.unless else ''
            row.unless = Condition(before + text[7:], row.fields, self.lets)
        else:
            raise TableError('%s: bad continuation: %s' % (row.name, text))

    def check_condition(self, row):
        if not row.unless:
            return
        if bin(row.unless.mask).count('1') > MAX_CONDITION_BITS:
            raise TableError('%s: %s: condition reads too many bits' % (row.where, row.name))
        seen = {row.unless.holds(row.value | w) for w in spread(row.unless.mask)}
        if seen == {True}:
            raise TableError('%s: %s: never allocated' % (row.where, row.name))
        if seen == {False}:
            raise TableError('%s: %s: condition is never true' % (row.where, row.name))

    def check_asm(self, row, asm):
        for kind, field in re.findall(r'\{(\w+)(?::(\w+))?\}', asm):
            if kind not in self.operands:
                raise TableError('%s: operand kind %s is not in operands.def' % (row.name, kind))
            if field and field not in row.fields:
                raise TableError('%s: no field %s in the pattern' % (row.name, field))
        if re.search(r'[{}]', re.sub(r'\{\w+(:\w+)?\}', '', asm)):
            raise TableError('%s: bad operand in "%s"' % (row.name, asm))

    def check_overlap(self):
        for i, a in enumerate(self.rows):
            for b in self.rows[i + 1:]:
                if (a.value ^ b.value) & a.mask & b.mask:
                    continue
                base = a.value | b.value
                read = (a.unless.mask if a.unless else 0) | (b.unless.mask if b.unless else 0)
                free = read & ~(a.mask | b.mask)
                if bin(free).count('1') > MAX_CONDITION_BITS:
                    raise TableError('%s: conditions of %s and %s read too many bits'
                                     % (b.where, a.name, b.name))
                for w in spread(free):
                    if a.allocated(base | w) and b.allocated(base | w):
                        raise TableError('%s: %s overlaps %s (%s), for example 0x%08x'
                                         % (b.where, b.name, a.name, a.where, base | w))

    def register_kind(self, row, field):
        """Which register file a field of the row names, from its assembly: GPR, VEC or NONE."""
        texts = [row.asm or ''] + [a for a, _ in row.aliases]
        files = [self.operands[k] for t in texts for k, f in re.findall(r'\{(\w+):(\w+)\}', t) if f == field]
        return next((f for f in files if f != 'NONE'), 'NONE')


def strip_comment(line):
    out, quoted = '', False
    for c in line.rstrip('\n'):
        quoted ^= c == '"'
        if c == '#' and not quoted:
            break
        out += c
    return out.rstrip()


# ---- Decision tree

def best_window(rows, known):
    """The window of undecided bits that splits rows best: (lsb, width), or None when nothing splits them."""
    best = None
    for width in (6, 5, 4, 3, 2, 1):
        for lsb in range(33 - width):
            window = ((1 << width) - 1) << lsb
            if window & known:
                continue
            sizes = Counter()
            for r in rows:
                free = window & ~r.mask
                if bin(free).count('1') > 3 and len(rows) > 4:
                    sizes = None
                    break
                for s in spread(free):
                    sizes[(r.value & window) | s] += 1
            if not sizes or max(sizes.values()) == len(rows):
                continue
            total = sum(sizes.values())
            cost = (sum(n * n for n in sizes.values()) / total * (total / len(rows)) ** 2, total, width)
            if best is None or cost < best[0]:
                best = (cost, lsb, width)
    return best and best[1:]


def emit_tree(rows, known, indent, out):
    pad = '    ' * indent
    window = best_window(rows, known) if len(rows) > 1 else None
    if not window:
        for r in rows:
            tests = []
            rest = r.mask & ~known
            if rest:
                tests.append('(w & 0x%08xu) == 0x%08xu' % (rest, r.value & rest))
            if r.unless:
                tests.append('!%s' % r.unless.c if r.unless.c[0] == '(' else '!(%s)' % r.unless.c)
            if tests:
                out.append('%sif (%s)' % (pad, ' && '.join(tests)))
                out.append('%s    return A64_ROW_%s;' % (pad, r.name))
            else:
                out.append('%sreturn A64_ROW_%s;' % (pad, r.name))
                return
        out.append('%sbreak;' % pad if indent > 1 else '')
        return
    lsb, width = window
    bits = ((1 << width) - 1) << lsb
    buckets = {}
    for r in rows:
        for s in spread(bits & ~r.mask):
            buckets.setdefault(((r.value & bits) | s) >> lsb, []).append(r)
    groups = {}
    for key, bucket in sorted(buckets.items()):
        groups.setdefault(tuple(r.name for r in bucket), ([], bucket))[0].append(key)
    out.append('%sswitch (w >> %d & %d) {' % (pad, lsb, (1 << width) - 1))
    for keys, bucket in groups.values():
        out.append(pad + ' '.join('case %d:' % k for k in keys))
        emit_tree(bucket, known | bits, indent + 1, out)
    out.append('%s}' % pad)
    if indent > 1:
        out.append('%sbreak;' % pad)


# ---- C output

def c_string(s):
    return '"%s"' % s.replace('\\', '\\\\').replace('"', '\\"')


def field_type(width):
    return 'uint8_t' if width <= 8 else 'uint16_t' if width <= 16 else 'uint32_t'


def emit_header(table, sources):
    widths = {}
    for r in table.rows:
        for name, (_, width) in r.fields.items():
            widths[name] = max(widths.get(name, 0), width)
    out = ['// SPDX-License-Identifier: MIT',
           '// Generated by tools/gen_decode.py from %s. Do not edit.' % ', '.join(sources),
           '#ifndef A64_ROWS_GEN_H', '#define A64_ROWS_GEN_H', '', '#include <stdint.h>', '']
    for macro, live in (('A64_ROWS', True), ('A64_ROWS_LATER', False)):
        out.append('// X(name) for every %s row.' % ('live' if live else '"later"'))
        out.append('#define %s(X) \\' % macro)
        out += ['    X(%s) \\' % r.name for r in table.rows if r.live == live]
        out += ['', '']
    out.append('enum a64_row {')
    out += ['    A64_ROW_%s,' % r.name for r in table.rows]
    out += ['    A64_ROW_COUNT', '};', '', 'enum a64_class {']
    out += ['    A64_CLASS_%s,' % c.upper() for c in CLASSES]
    out += ['    A64_CLASS_COUNT', '};', '',
            '// What a row needs; rows marked later all have A64_FEATURE_LATER.',
            'enum a64_feature {']
    out += ['    A64_FEATURE_%s,' % f for f in FEATURES]
    out += ['    A64_FEATURE_LATER,', '    A64_FEATURE_COUNT', '};', '',
            '// The fields of a decoded instruction, neither sign-extended nor scaled; 0 where its row has none.',
            'struct a64_insn {', '    uint32_t word;', '    uint16_t row; // enum a64_row']
    for name, width in sorted(widths.items(), key=lambda x: (-x[1], x[0])):
        out.append('    %s %s;' % (field_type(width), name))
    out += ['};', '', '#endif', '']
    return '\n'.join(out)


def emit_source(table, sources):
    rows = table.rows
    out = ['// SPDX-License-Identifier: MIT',
           '// Generated by tools/gen_decode.py from %s. Do not edit.' % ', '.join(sources),
           '#include "frontends/a64/decode.h"', '',
           '// Row of a word, or A64_ROW_COUNT.', 'static unsigned find_row(uint32_t w)', '{']
    emit_tree(rows, 0, 1, out)
    out += ['    return A64_ROW_COUNT;', '}', '']

    formats = {}
    for r in rows:
        formats.setdefault(tuple(sorted(r.fields.items())), []).append(r)
    out += ['static void extract(uint32_t w, struct a64_insn *i)', '{', '    switch (i->row) {']
    for fields, members in formats.items():
        if not fields:
            continue
        out += ['    case A64_ROW_%s:' % r.name for r in members]
        out += ['        i->%s = w >> %d & %d;' % (f, lsb, (1 << width) - 1) for f, (lsb, width) in fields]
        out.append('        break;')
    out += ['    }', '}', '',
            'bool a64_decode(uint32_t word, struct a64_insn *ret)', '{',
            '    *ret = (struct a64_insn){.word = word, .row = find_row(word)};',
            '    if (ret->row == A64_ROW_COUNT)', '        return false;',
            '    extract(word, ret);',
            '    return a64_rows[ret->row].status == A64_LIVE;', '}', '',
            'const char *a64_alias(const struct a64_insn *i)', '{', '    const uint32_t w = i->word;', '',
            '    switch (i->row) {']
    for r in rows:
        if r.aliases:
            out.append('    case A64_ROW_%s:' % r.name)
            for asm, cond in r.aliases:
                out += ['        if (%s)' % cond.c, '            return %s;' % c_string(asm)]
            out.append('        break;')
    out += ['    }', '    return a64_rows[i->row].assembly;', '}', '']

    out += ['bool a64_unpredictable(const struct a64_insn *i)', '{', '    const uint32_t w = i->word;', '',
            '    if (i->row == A64_ROW_COUNT)', '        return false;',
            '    if ((w & a64_rows[i->row].should_mask) != a64_rows[i->row].should_value)', '        return true;',
            '    switch (i->row) {']
    for r in rows:
        if r.unpredictable:
            out += ['    case A64_ROW_%s:' % r.name, '        return %s;' % r.unpredictable.c]
    out += ['    }', '    return false;', '}', '']

    out.append('static const struct a64_field fields[] = {')
    first = {}
    count = 0
    for r in rows:
        first[r.name] = count
        for f, (lsb, width) in r.fields.items():
            out.append('    {"%s", %d, %d, A64_REG_%s},' % (f, lsb, width, table.register_kind(r, f)))
            count += 1
    out += ['    {0}', '};', '', 'const struct a64_row_info a64_rows[A64_ROW_COUNT] = {']
    for r in rows:
        feature = r.feature if r.live else 'LATER'
        out += ['    {.name = "%s", .pattern = %s,' % (r.name, c_string(r.pattern)),
                '     .assembly = %s, .later_feature = %s, .reason = %s,'
                % (c_string(r.asm) if r.live else 'NULL', 'NULL' if r.live else c_string(r.feature),
                   'NULL' if r.live else c_string(r.reason)),
                '     .mask = 0x%08x, .value = 0x%08x, .should_mask = 0x%08x, .should_value = 0x%08x,'
                % (r.mask, r.value, r.should_mask, r.should_value),
                '     .status = %s, .class = A64_CLASS_%s, .feature = A64_FEATURE_%s,'
                % ('A64_LIVE' if r.live else 'A64_LATER', r.klass.upper(), feature),
                '     .fields = fields + %d, .field_count = %d},' % (first[r.name], len(r.fields))]
    out += ['};', '']
    return '\n'.join(x for x in out)


def report_coverage(table, path):
    with open(path) as f:
        covered = set(f.read().split())
    live = [r for r in table.rows if r.live]
    missing = [r.name for r in live if r.name not in covered]
    print('%d of %d live rows covered (%.1f %%)' % (len(live) - len(missing), len(live),
                                                    100 * (1 - len(missing) / len(live))))
    for name in missing:
        print('missing ' + name)


def report(table):
    live = [r for r in table.rows if r.live]
    print('%d rows: %d live, %d later' % (len(table.rows), len(live), len(table.rows) - len(live)))
    print('%-10s' % 'class' + ''.join('%8s' % f for f in FEATURES))
    for c in CLASSES:
        n = [sum(r.klass == c and r.feature == f for r in live) for f in FEATURES]
        print('%-10s' % c + ''.join('%8s' % (x or '.') for x in n))
    for r in table.rows:
        note = r.pattern if r.live else 'later: ' + r.reason
        print('%-14s %-9s %-8s %s' % (r.name, r.klass, r.feature, note))


def load_operands(path):
    with open(path) as f:
        return dict(re.findall(r'^A64_OPERAND\((\w+), (GPR|VEC|NONE)\)', f.read(), re.M))


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--operands', required=True)
    p.add_argument('--header')
    p.add_argument('--source')
    p.add_argument('--report', action='store_true')
    p.add_argument('--covered')
    p.add_argument('--check', action='store_true')
    p.add_argument('tables', nargs='+')
    args = p.parse_args()
    table = Table(load_operands(args.operands))
    try:
        for path in args.tables:
            table.load(path)
        table.check_overlap()
    except TableError as e:
        sys.exit('gen_decode.py: %s' % e)
    names = [os.path.basename(t) for t in args.tables]
    if args.header:
        with open(args.header, 'w') as f:
            f.write(emit_header(table, names))
    if args.source:
        with open(args.source, 'w') as f:
            f.write(emit_source(table, names))
    if args.report and args.covered:
        report_coverage(table, args.covered)
    elif args.report:
        report(table)


if __name__ == '__main__':
    main()
