# SPDX-License-Identifier: MIT
# Sorts a log by words, by numbers, and by how often lines occur.
# needs: sort cut uniq
sort -k5,5 -k3,3r "$DATA/log.txt" | cut -c 12-40 | head -n 500
sort -t= -k2,2n "$DATA/log.txt" | tail -n 50
cut -d: -f1 "$DATA/log.txt" | cut -d' ' -f2- | sort | uniq -c | sort -rn | head -n 60
