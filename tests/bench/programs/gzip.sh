# SPDX-License-Identifier: MIT
# Packs a log and unpacks it again.
# needs: gzip
set -e
gzip -n -6 <"$DATA/log.txt" >text.gz
cat text.gz
gzip -dc text.gz | tail -n 3
