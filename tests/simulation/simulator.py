# SPDX-License-Identifier: GPL-2.0
"""Simulators of changed sources, built from a copy of them."""

import re
import sys

from planting import CHECKOUT, SourceCopy, run

# It is built more often than it is run.
ENVIRONMENT = ["CARGO_PROFILE_RELEASE_OPT_LEVEL=1", "CARGO_INCREMENTAL=1"]

# Tests are run once for each build, and take longer than that where nothing is optimised.
TESTS = ["CARGO_PROFILE_TEST_OPT_LEVEL=1", "CARGO_INCREMENTAL=1"]

# Seconds of a processor's time after which a process hangs, and seconds more for each history: the slowest kind
# simulates fifty a second. Histories have limits of their own, which a loop that calls nothing does not meet.
PATIENCE = 60
PATIENCE_FOR_EACH = 0.3


def make_ready():
    """Ends the program where the simulator cannot be built as it is."""
    ready = run(CHECKOUT / "scripts/simulate", "-k", "move", "-n", "100")
    if ready.returncode != 0:
        sys.exit(ready.stdout + ready.stderr)


class Simulator(SourceCopy):
    """A copy of the sources, and the simulator that is built of it."""

    def __init__(self, name):
        super().__init__(CHECKOUT / "target/simulation" / name)

    def build(self):
        return self.cargo("build", "tests/simulation", "--release", environment=ENVIRONMENT)

    def test_core(self):
        """Runs the tests of src/core."""
        return self.cargo("test", "src/core", "--lib", environment=TESTS, seconds=600)

    def simulate(self, kind, seed, count):
        """Returns how many histories there were, and what was found, None where none failed."""
        simulator = self.tree / "build/release/sim"
        arguments = ["-k", kind, "-s", str(seed), "-n", str(count)]
        patience = int(PATIENCE + PATIENCE_FOR_EACH * count)
        ended = run(CHECKOUT / "scripts/toolchain", simulator, *arguments, seconds=patience)
        found = re.search(r"^FAILED +\w+ seed \d+: (.*)", ended.stdout, re.M)
        number = re.search(r"(\d+) histories from seed", ended.stdout)
        done = int(number.group(1)) if number else 1
        if found:
            return done, found.group(1)
        if ended.returncode is None:
            return done, f"the simulator has not ended after {patience} seconds"
        if ended.returncode != 0 or not number:
            last = (ended.stderr.strip().splitlines() or ["no word"])[-1]
            return done, f"the simulator has died with status {ended.returncode}: {last}"
        return done, None
