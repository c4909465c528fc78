# SPDX-License-Identifier: MIT
# Compiles some two thousand generated lines of C to an object file.
# needs: gcc
# own: each processor has its own object code.
set -e
gcc -O1 -c "$DATA/source.c" -o out.o
cat out.o
