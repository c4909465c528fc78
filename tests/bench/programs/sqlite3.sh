# SPDX-License-Identifier: MIT
# Runs work.sql on a database in memory.
# needs: sqlite3
exec sqlite3 -batch :memory: <"$DATA/work.sql"
