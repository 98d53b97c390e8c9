# SPDX-License-Identifier: GPL-2.0
"""Copies of the sources, in which faults are planted one at a time, for a check that has to find each.

A fault is a name, a file below src, a text that is in it exactly once, what that becomes, and what finds it.
"""

import contextlib
import resource
import shutil
import signal
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


# Statuses of what was killed since it had no time left: of a process, and of a shell's child.
OUT_OF_TIME = (-signal.SIGXCPU, 128 + signal.SIGXCPU)

# A process that waits for something takes no time of a processor. It may wait so many times as long as it may work.
WAITS = 20


def run(*command, seconds=None):
    """Runs a command. What takes more than `seconds` of a processor's time is killed, and has the status None. The
    time of a clock would judge what else the machine does."""
    limits = {}
    if seconds:
        limits["preexec_fn"] = lambda: resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        limits["timeout"] = WAITS * seconds
    try:
        ended = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, **limits)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, None, "", "")
    if ended.returncode in OUT_OF_TIME:
        ended.returncode = None
    return ended


class SourceCopy:
    """A copy of the files of the checkout that git knows, as they are now, with a build directory of its own."""

    def __init__(self, tree):
        self.tree = tree
        known = {Path(name) for name in run("git", "-C", CHECKOUT, "ls-files", "-z").stdout.split("\0") if name}
        for name in known:
            self.renew(name)
        for path in list(tree.rglob("*")):
            name = path.relative_to(tree)
            built = name.parts[0] in ("build", "target")
            if not built and name not in known and (path.is_symlink() or not path.is_dir()):
                path.unlink()

    def renew(self, name):
        """Copies a file unless its copy is the same.

        A copy is as old as its making and not as old as the file, since cargo builds anew what is newer than the last
        build: what an earlier run has left changed may be newer than the file.
        """
        source, copy = CHECKOUT / name, self.tree / name
        if source.is_symlink() or not source.is_file():
            copy.unlink(missing_ok=True)
            if source.is_symlink():
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.symlink_to(source.readlink())
        elif copy.is_symlink() or not copy.is_file() or copy.read_bytes() != source.read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.unlink(missing_ok=True)
            shutil.copy(source, copy)

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

    def cargo(self, command, package, *arguments, environment=(), seconds=None):
        """Runs a command of cargo for the package in a folder of the copy."""
        return run(
            CHECKOUT / "scripts/toolchain",
            "env",
            f"CARGO_TARGET_DIR={self.tree}/build",
            *environment,
            "cargo", command, "--quiet", "--locked",
            "--manifest-path", f"{self.tree}/{package}/Cargo.toml",
            *arguments,
            seconds=seconds,
        )  # fmt: skip


def find_planted(fault, copy, build, look_for):
    """Plants a fault, and looks for it with its finders.

    `look_for` returns how far it has looked, and what it has found, None where that is nothing. Returns these two,
    and what is wrong, None where the fault was found.
    """
    _, file, text, wrong, finders = fault
    whole = (copy.tree / "src" / file).read_text()
    times = whole.count(text)
    if times != 1:
        return None, None, f"its text is {times} times in src/{file}, and has to be there once"
    if text == wrong:
        return None, None, "it changes nothing"
    with copy.changed(f"src/{file}", whole.replace(text, wrong)):
        built = build()
        if built.returncode != 0:
            return None, None, f"it cannot be built:\n{built.stderr}"
        looked, found = look_for(finders)
    return looked, found, None if found else f"not found in {looked}"
