# SPDX-License-Identifier: MIT
# Runs work.lua in Debian's Lua 5.4.
# needs: lua5.4
exec lua5.4 "$DATA/work.lua" "$DATA/log.txt"
