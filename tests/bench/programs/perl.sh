# SPDX-License-Identifier: MIT
# Runs work.pl in Debian's Perl.
# needs: perl
exec perl "$DATA/work.pl" "$DATA/log.txt"
