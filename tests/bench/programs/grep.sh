# SPDX-License-Identifier: MIT
# Plain, extended and fixed patterns over a log, with and without regard to case.
# needs: grep
for i in 1 2 3 4; do
    grep -c "warning.*quartz" "$DATA/log.txt"
    grep -cE 'host(1[0-9]|4[2-5]).*(ember|violet)+ .*took=[0-9]{4} ' "$DATA/log.txt"
    grep -ciF -e 'id=00' -e 'zephyr yonder' "$DATA/log.txt"
done
grep -oE 'id=([0-9a-f])\1[0-9a-f]*' "$DATA/log.txt"
