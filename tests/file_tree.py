# SPDX-License-Identifier: GPL-2.0
"""A tree of files with random contents, and the checksums of these.

    file_tree.py write DIRECTORY SUMS SEED STEPS [empty]    writes and removes files; `empty` removes all others first
    file_tree.py check DIRECTORY SUMS                       compares the files with the checksums
"""

import hashlib
import json
import os
import random
import shutil
import sys

from in_guest import require_guest

MAX_FILES = 60


def write(directory, sums_path, seed, steps):
    chance, sums = random.Random(seed), {}
    for step in range(steps):
        name = f"{chance.randrange(8)}/{chance.randrange(40)}"
        path = os.path.join(directory, name)
        if name in sums and chance.random() < 0.3:
            os.remove(path)
            del sums[name]
            continue
        if name not in sums and len(sums) >= MAX_FILES:
            continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        data = chance.randbytes(chance.choice((100, 4096, 70000, 300000)))
        with open(path, "wb") as file:
            file.write(data)
            if chance.random() < 0.3:
                file.flush()
                os.fsync(file.fileno())
        sums[name] = hashlib.sha256(data).hexdigest()
        if step % 50 == 0:
            os.sync()
    with open(sums_path, "w") as file:
        json.dump(sums, file)
    print(f"{len(sums)} files")


def check(directory, sums_path):
    with open(sums_path) as file:
        sums = json.load(file)
    found = {}
    # The page cache is dropped, so that the files are read from the disk.
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("3")
    for parent, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(parent, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, directory)] = hashlib.sha256(file.read()).hexdigest()
    differing = sorted(name for name in sums.keys() | found.keys() if sums.get(name) != found.get(name))
    if differing or not sums:
        raise SystemExit(f"FAIL: {len(differing)} of {len(sums)} files differ: {differing[:10]}")


def main():
    command, directory, sums_path, *rest = sys.argv[1:]
    if command == "write":
        for name in os.listdir(directory) if rest[2:] == ["empty"] else []:
            if name != "lost+found":
                shutil.rmtree(os.path.join(directory, name))
        write(directory, sums_path, int(rest[0]), int(rest[1]))
    else:
        check(directory, sums_path)


if __name__ == "__main__":
    require_guest()
    main()
