# SPDX-License-Identifier: GPL-2.0
"""Ends programs that belong in a guest on any other machine, where they would write to its disks."""

import os
import sys


def require_guest():
    """Returns in a guest, whose first process makes the file; ends the program with status 2 elsewhere."""
    if not os.path.exists("/run/dm-remap-guest"):
        program = os.path.basename(sys.argv[0])
        print(f"{program}: belongs in a guest, which scripts/vm starts (scripts/README.md)", file=sys.stderr)
        sys.exit(2)
