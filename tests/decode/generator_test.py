#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each table in bad/ must be refused with the message its third line expects; good.decode must be accepted."""
import pathlib
import subprocess
import sys

gen, operands = sys.argv[1:3]
here = pathlib.Path(__file__).parent
failed = 0


def run(path, *args):
    return subprocess.run([sys.executable, gen, '--operands', operands, *args, str(path)], capture_output=True, text=True)


cases = sorted((here / 'bad').glob('*.decode'))
for path in cases:
    want = path.read_text().splitlines()[2].split('# expect: ')[1]
    got = run(path, '--check')
    if got.returncode != 1 or want not in got.stderr or 'Traceback' in got.stderr:
        print('%s: wanted "%s", got status %d: %s' % (path.name, want, got.returncode, got.stderr))
        failed += 1
got = run(here / 'good.decode', '--report')
if got.returncode or '4 rows: 3 live, 1 later' not in got.stdout:
    print('good.decode: status %d: %s%s' % (got.returncode, got.stdout, got.stderr))
    failed += 1
print('%d tables, %d failed' % (len(cases) + 1, failed))
sys.exit(failed != 0 or len(cases) < 15)
