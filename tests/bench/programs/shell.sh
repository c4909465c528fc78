# SPDX-License-Identifier: MIT
# needs: sh expr true cat
# What a configure script does: small programs one after the other, pipes, substitutions.
i=0 sum=0
while [ $i -lt 60 ]; do
    true
    /bin/true
    sum=$(expr $sum + $i)
    word=$(echo "line $i of $sum" | cat | sed 's/line/row/')
    i=$((i + 1))
done
echo "$sum $word"
i=0
while [ $i -lt 20000 ]; do
    case $i in *7*) sum=$((sum + i)) ;; *) sum=$((sum ^ i)) ;; esac
    i=$((i + 1))
done
echo "$sum"
