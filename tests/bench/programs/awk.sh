# SPDX-License-Identifier: MIT
# Word counts and sums over a log in mawk, and a loop of arithmetic.
# needs: mawk
mawk '{ for (i = 5; i < NF - 2; i++) words[$i]++
        split($(NF - 2), took, "="); total[$3] += took[2]; if (took[2] > most[$2]) most[$2] = took[2] }
    END { for (w in words) print w, words[w]; for (h in total) printf "%s %.3f\n", h, total[h] / NR
          for (l in most) print l, most[l] }' "$DATA/log.txt" | sort
mawk 'BEGIN { for (i = 1; i < 300000; i++) { x = (x * 1103 + i) % 65521; s += x / i } printf "%.6f %d\n", s, x }'
