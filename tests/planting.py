# SPDX-License-Identifier: GPL-2.0
"""Plants faults in copies of the sources, one at a time, for a check that has to find each.

A fault is a name, a file below src, a text in it, what that becomes, and what finds it. One whose text is no longer in
the sources fails: it has to be planted anew.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


def copy_sources(tree, parts):
    for part in parts:
        shutil.rmtree(tree / part, ignore_errors=True)
        shutil.copytree(CHECKOUT / part, tree / part, symlinks=True)


def build(tree, package, environment=()):
    """Builds the package in the folder of that name in the tree."""
    return run(
        CHECKOUT / "scripts/toolchain",
        "env",
        f"CARGO_TARGET_DIR={tree}/build",
        *environment,
        "cargo", "build", "--quiet", "--release", "--locked",
        "--manifest-path", f"{tree}/{package}/Cargo.toml",
    )  # fmt: skip


def check(fault, tree, build_it, look_for):
    """What is wrong, or nothing where the fault was found."""
    name, file, text, wrong, finders = fault
    source = tree / "src" / file
    whole = source.read_text()
    began = time.monotonic()
    if whole.count(text) != 1:
        return f"there is no such place in src/{file} any more, or several"
    try:
        source.write_text(whole.replace(text, wrong))
        built = build_it()
        if built.returncode != 0:
            return f"it cannot be built:\n{built.stderr}"
        looked, found = look_for(finders)
    finally:
        source.write_text(whole)
    if found is None:
        return f"not found in {looked}"
    seconds = time.monotonic() - began
    print(f"ok       {name}: found after {looked}, in {seconds:.0f} s: {found[:120]}", flush=True)
    return None


def plant_all(faults, names, tree, build_it, look_for):
    """Plants the faults that are named, or all. `look_for` gets what finds a fault; it returns how far it has looked
    and what it has found, or nothing. Ends the program, with "<n> passed, <n> failed, <n> skipped" before."""
    passed = failed = 0
    for fault in faults:
        if names and fault[0] not in names:
            continue
        wrong = check(fault, tree, build_it, look_for)
        if wrong is None:
            passed += 1
        else:
            failed += 1
            print(f"FAILED   {fault[0]}: {wrong}", flush=True)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    sys.exit(failed > 0 or passed == 0)
