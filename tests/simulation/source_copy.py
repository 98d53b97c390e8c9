# SPDX-License-Identifier: GPL-2.0
"""Copies of the sources, in which faults are planted to see whether the simulator finds them."""

import contextlib
import re
import shutil
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]

# Seconds after which a process that simulates or tests is said to hang. Histories of a sound target have limits.
PATIENCE = 600


def run(*command, seconds=None):
    """Runs a command; a process that was ended for its time has status None."""
    try:
        return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, None, "", "")


def make_ready():
    """Builds what is the same in every copy, finds the kernel's source, and runs a few histories."""
    return run(CHECKOUT / "scripts/simulate", "-k", "move", "-n", "100")


class SourceCopy:
    """A copy of what git knows of the checkout, as it is now, with a build directory of its own."""

    def __init__(self, name):
        self.tree = CHECKOUT / "target/simulation" / name
        for part in [path for path in self.tree.glob("*") if path.name != "target"]:
            if part.is_dir():
                shutil.rmtree(part)
            else:
                part.unlink()
        for known in run("git", "-C", CHECKOUT, "ls-files", "-z").stdout.split("\0"):
            source, copy = CHECKOUT / known, self.tree / known
            if known and (source.is_file() or source.is_symlink()):
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, copy, follow_symlinks=False)
        linux = self.tree / "target/simulation/linux"
        linux.parent.mkdir(parents=True, exist_ok=True)
        linux.unlink(missing_ok=True)
        linux.symlink_to((CHECKOUT / "target/simulation/linux").resolve())

    @contextlib.contextmanager
    def changed(self, file, text):
        """Gives a file another text for a while."""
        source = self.tree / file
        whole = source.read_text()
        source.write_text(text)
        try:
            yield
        finally:
            source.write_text(whole)

    def _cargo(self, *arguments, seconds=None):
        return run(
            CHECKOUT / "scripts/toolchain",
            "env",
            f"CARGO_TARGET_DIR={self.tree}/target/build",
            # It is built more often than it is run.
            "CARGO_PROFILE_RELEASE_OPT_LEVEL=1",
            "CARGO_INCREMENTAL=1",
            "cargo", *arguments,
            seconds=seconds,
        )  # fmt: skip

    def build(self):
        """Builds the simulator."""
        manifest = self.tree / "tests/simulation/Cargo.toml"
        return self._cargo("build", "--quiet", "--release", "--locked", "--manifest-path", manifest)

    def test_core(self):
        """Runs the tests of src/core."""
        manifest = self.tree / "src/core/Cargo.toml"
        return self._cargo("test", "--quiet", "--locked", "--lib", "--manifest-path", manifest, seconds=PATIENCE)

    def look_for(self, kinds, rounds, most, seed):
        """Returns how many histories it took to find something, and what; None where nothing was found in `most`.

        Runs histories of each kind in rounds, so that what is easy to find is found early.
        """
        done = 0
        for number, size in enumerate(rounds):
            for kind in kinds:
                count = min(size, most - done)
                if count <= 0:
                    return done, None
                simulator = self.tree / "target/build/release/sim"
                options = ["-k", kind, "-n", str(count), "-s", str(seed + number * 1_000_000)]
                output = run(CHECKOUT / "scripts/toolchain", simulator, *options, seconds=PATIENCE).stdout
                found = re.search(r"^FAILED +\w+ seed \d+: (.*)", output, re.M)
                ended = re.search(r"(\d+) histories from seed", output)
                # Where there is no such line, the process has died of it, or hangs.
                done += int(ended.group(1)) if ended else 1
                if found or not ended:
                    return done, found.group(1) if found else "the simulator has died or hangs"
        return done, None
