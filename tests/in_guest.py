# SPDX-License-Identifier: GPL-2.0
"""A check that keeps programs for guests from running on a host, whose disks they would write."""

import os
import sys


def require_guest():
    """Returns in a guest, whose init makes the file. Elsewhere ends the program with status 2."""
    if not os.path.exists("/run/dm-remap-guest"):
        program = os.path.basename(sys.argv[0])
        print(f"{program}: belongs in a guest, which scripts/vm starts (scripts/README.md)", file=sys.stderr)
        sys.exit(2)
