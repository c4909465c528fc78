# SPDX-License-Identifier: MIT
# needs: sh
# Not a row: runs once before the others, untimed. Lets python3 compile the modules that the image, made without running
# anything, has as sources only.
command -v python3 >/dev/null && python3 -c 'import collections, heapq, json, re, random, string, hashlib'
exit 0
