#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Prints the paragraphs of debian/copyright for vendored crates: whose they are, and the licence that is taken of those
that a crate offers. The text of a licence that Debian does not have in common-licenses is that of the crate.

usage: packages/crate_copyright.py VENDOR
"""

import re
import sys
import tomllib
from pathlib import Path

# Licences that are taken where a crate offers them, the first first.
PREFERRED = ["MIT", "BSD-3-Clause", "ISC", "Zlib", "MPL-2.0", "Apache-2.0"]
COMMON = {"Apache-2.0", "MPL-2.0"}


def taken(expression):
    """Returns the licences that are taken: one of those joined by OR, all of those joined by AND."""
    result = []
    for part in re.split(r"\s+AND\s+", expression):
        offered = [name.strip(" ()") for name in re.split(r"\s+OR\s+|/", part)]
        found = [name for name in PREFERRED if name in offered] or offered[:1]
        result.append(found[0])
    return result


def text_of(crate, licence):
    """Returns the text of a licence from a crate's directory, as a paragraph of debian/copyright has it."""
    files = sorted(path for path in crate.iterdir() if re.match(r"(?i)(licen[cs]e|copying|unicode)", path.name) and path.is_file())
    named = [path for path in files if licence.split("-")[0].lower() in path.name.lower()]
    if not files:
        return None
    text = (named or files)[0].read_text(encoding="utf-8")
    # Whose a crate is, is in its own paragraph.
    lines = re.sub(r"(?m)^\s*(Copyright|\(c\)).*\n", "", text).strip().splitlines()
    return "\n".join(f" {line.rstrip()}" if line.strip() else " ." for line in lines)


def main():
    texts = {}
    for crate in sorted(Path(sys.argv[1]).iterdir()):
        package = tomllib.loads((crate / "Cargo.toml").read_text(encoding="utf-8"))["package"]
        if "license" not in package:
            sys.exit(f"{crate.name} names no licence")
        licences = taken(package["license"])
        for licence in licences:
            if licence not in COMMON and not texts.get(licence):
                texts[licence] = text_of(crate, licence)
        authors = package.get("authors") or [f"the authors of {package['name']}"]
        print(f"\nFiles: vendor/{crate.name}/*\nCopyright: {', '.join(authors)}\nLicense: {' and '.join(licences)}")
        texts.update({licence: None for licence in licences if licence not in texts})
    for licence, text in sorted(texts.items()):
        if licence in COMMON:
            text = f" The text of this licence is in /usr/share/common-licenses/{licence}."
        if text is None:
            sys.exit(f"no crate has the text of the licence {licence}")
        print(f"\nLicense: {licence}\n{text}")


main()
