# SPDX-License-Identifier: MIT
# Runs work.py in Debian's Python 3.
# needs: python3
exec python3 "$DATA/work.py" "$DATA/log.txt"
