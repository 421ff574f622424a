"""List or remove what is kept of compiled programs.

`genesis cache ls` prints the folder, its files by kind, their sizes and the limit; `genesis cache clear` removes them.
"""

from __future__ import annotations

import argparse
from collections import Counter

from genesis.step.cost_report import amount
from runtime.cache import cache_folder, cache_limit, entries

KINDS = {".so": "built programs", ".bin": "plans and machine code", ".c": "code that did not compile"}
"""The meaning of each suffix of files."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["ls", "clear"])


def run(arguments: argparse.Namespace) -> int:
    folder = cache_folder()
    if folder is None:
        print("there is no home folder, so nothing is kept; GENESIS_CACHE names another folder")
        return 0
    found = entries(folder)
    if arguments.action == "clear":
        size = sum(path.stat().st_size for path in found)
        for path in found:
            path.unlink(missing_ok=True)
        print(f"removed {len(found)} files, {amount(size, 'B')}, from {folder}")
        return 0
    count, sizes = Counter[str](), Counter[str]()
    for path in found:
        count[path.suffix] += 1
        sizes[path.suffix] += path.stat().st_size
    print(f"{folder}: {len(found)} files, {amount(sum(sizes.values()), 'B')} of at most {amount(cache_limit(), 'B')}")
    for suffix, number in count.most_common():
        print(f"  {number:6} {suffix:<4} {amount(sizes[suffix], 'B'):>8}  {KINDS.get(suffix, '')}".rstrip())
    return 0
