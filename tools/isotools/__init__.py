# SPDX-License-Identifier: MIT
"""Python behind tools/ and tests/boot/: guest images, emulator consoles, benchmark arithmetic. Standard library only."""
