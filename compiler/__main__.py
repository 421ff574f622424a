"""``python -m compiler step.gir --passes autodiff,fuse --emit c``: run passes on a graph in text form.

Reads a file, or stdin for ``-``; prints the result. Errors go to stderr as one message, with exit code 1. So do those
that nobody foresaw; ``--traceback`` shows where they come from.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from compiler.errors import GenesisError
from compiler.ir.graph import Graph
from compiler.ir.verify import verify
from compiler.pipeline import PASSES, emit
from compiler.text.parser import parse_graph
from compiler.text.printer import print_graph

TARGETS = ("gir", "c", "triton")


def read(path: str) -> Graph:
    if path == "-":
        return parse_graph(sys.stdin.read(), "<stdin>")
    return parse_graph(Path(path).read_text(encoding="utf-8"), path)


def run(graph: Graph, passes: Sequence[str]) -> Graph:
    """``graph`` after ``passes``, verified after each."""
    for name in passes:
        if name not in PASSES:
            close = get_close_matches(name, PASSES)
            raise GenesisError(
                f"there is no pass {name!r}; {'did you mean' if close else 'there are'} {', '.join(close or PASSES)}"
            )
        graph = verify(PASSES[name](graph))
    return graph


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command, for ``python -m compiler`` and ``genesis opt``."""
    parser.add_argument("file", metavar="FILE.gir", help="the graph; - reads stdin")
    parser.add_argument("--passes", default="", metavar="A,B", help=f"in this order; there are {', '.join(PASSES)}")
    parser.add_argument("--emit", default="gir", choices=TARGETS, help="what to print (default: gir)")
    parser.add_argument("--traceback", action="store_true", help="show where an error that nobody foresaw comes from")


def run_command(options: argparse.Namespace) -> int:
    """Do what parsed arguments ask for; the exit code."""
    try:
        graph = run(read(options.file), [name for name in options.passes.split(",") if name])
        text = print_graph(graph) if options.emit == "gir" else emit(graph, options.emit)
    except (GenesisError, NotImplementedError, OSError, UnicodeDecodeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except Exception as error:
        if options.traceback:
            raise
        print(
            f"error: {type(error).__name__} ({error}): a text that no recorded step gives, or a defect in Genesis; "
            "--traceback shows where",
            file=sys.stderr,
        )
        return 1
    sys.stdout.write(text)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m compiler", description="Run compiler passes on a graph in text form.")
    add_arguments(parser)
    return run_command(parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
