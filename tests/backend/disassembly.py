# SPDX-License-Identifier: MIT
"""Host code as objdump reads it, for the tests that compare it or count in it."""
import re
import subprocess
import tempfile


def disassemble(code):
    """[(offset, instruction in Intel's syntax, without comment, blanks single)] of machine code for x86-64."""
    with tempfile.NamedTemporaryFile(suffix=".bin") as file:
        file.write(code)
        file.flush()
        text = subprocess.run(["objdump", "-D", "-b", "binary", "-m", "i386:x86-64", "-M", "intel", file.name],
                              stdout=subprocess.PIPE, text=True, check=True).stdout
    lines = [line.split("\t") for line in text.splitlines()]
    return [(int(parts[0].strip(" :"), 16), re.sub(r"\s+", " ", parts[2].split("#")[0]).strip())
            for parts in lines if len(parts) >= 3]
