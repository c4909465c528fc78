# SPDX-License-Identifier: MIT
"""Python behind tools/ and tests/boot/: guest images, consoles, benchmark arithmetic. Standard library only."""
