# SPDX-License-Identifier: MIT
# Runs in the guest (busybox sh) for tools/quickstart --check: each check prints "ok NAME" or "FAILED NAME", and the
# last line is "ISOMER-CHECK: <number of failures>".
failed=0
is() { # is NAME WANTED GOT
    if [ "$2" = "$3" ]; then echo "ok $1"; else echo "FAILED $1: wanted '$2', got '$3'"; failed=$((failed + 1)); fi
}

is machine aarch64 "$(uname -m)"
is system Linux "$(uname -s)"
is processors "$(nproc)" "$(grep -c ^processor /proc/cpuinfo)"
is features 1 "$(grep -c -m 1 'Features.*fp asimd' /proc/cpuinfo)"
is integer 8091 "$((3 * 2697))"
is negative -4 "$((-25 / 6))"
is wide 6917529027641081856 "$((3 << 61))"
is xor 9223372036854775807 "$((-1 ^ (1 << 63)))"
is remainder 1 "$((9223372036854775807 % 6))"
is decimal 3.141592920354 "$(awk 'BEGIN { printf "%.12f", 355 / 113 }')"
is root 1.4142135624 "$(awk 'BEGIN { x = 2; while (i++ < 9) x = (x + 2 / x) / 2; printf "%.10f", x }')"
is sum 500500 "$(seq 1 1000 | awk '{ s += $1 } END { print s }')"
is pipes 55 "$(seq 1 1000 | grep 7 | sort -n | uniq | tail -n 55 | wc -l)"
is sorted "apple fig kiwi" "$(printf 'kiwi\nfig\napple\n' | sort | tr '\n' ' ' | sed 's/ $//')"
is md5 36338b186155c64a8b3841e9b2572d2b "$(md5sum </etc/isomer/check.txt | cut -d' ' -f1)"
is sha256 a35f56916a959f91324b91cb2b4199a2a6c93e5eba701b882278e8ccdf8f2ff3 "$(sha256sum </etc/isomer/check.txt | cut -d' ' -f1)"
is zeroes 3b71f43ff30f4b15b5cd85dd9e95ebc7e84eb5a3 "$(head -c 1048576 /dev/zero | sha1sum | cut -d' ' -f1)"
is gzip "$(md5sum </bin/busybox)" "$(gzip -c /bin/busybox | gunzip | md5sum)"
(exit 7)
is status 7 $?
sleep 0.2 & sleeper=$!
wait $sleeper
is child 0 $?
sleep 30 & sleeper=$!
kill -TERM $sleeper
wait $sleeper
is signal 143 $?
before=$(cut -d. -f1 /proc/uptime); sleep 1; after=$(cut -d. -f1 /proc/uptime)
is clock 1 "$((after - before >= 1 && after - before <= 4))"
interrupts() { awk '/arch_timer/ { for (i = 2; i <= NF && $i ~ /^[0-9]+$/; i++) s += $i } END { print s + 0 }' /proc/interrupts; }
before=$(interrupts); sleep 0.1
is timer 1 "$(($(interrupts) > before))"
is memory 1 "$(awk '/MemTotal/ { print ($2 > 200000) }' /proc/meminfo)"
dd if=/dev/urandom of=/tmp/a bs=4096 count=256 2>/dev/null && cp /tmp/a /tmp/b
is copy 0 "$(cmp /tmp/a /tmp/b; echo $?)"
echo "ISOMER-CHECK: $failed"
