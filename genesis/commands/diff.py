"""Compare two graphs in text form: a unified diff in which values that both have keep their names.

The exit code is 0 where they are the same, 1 where they differ, 2 where one cannot be read.
"""

from __future__ import annotations

import argparse
import sys

from compiler.errors import GenesisError
from compiler.text.diff import diff_graphs
from genesis.edit import load_graph


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("before", metavar="A.gir")
    parser.add_argument("after", metavar="B.gir")


def run(arguments: argparse.Namespace) -> int:
    try:
        before, after = load_graph(arguments.before), load_graph(arguments.after)
    except (GenesisError, OSError, UnicodeDecodeError) as error:
        print(f"genesis: {error}", file=sys.stderr)
        return 2
    difference = diff_graphs(before, after, (arguments.before, arguments.after))
    sys.stdout.write(difference)
    return 1 if difference else 0
