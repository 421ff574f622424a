"""Show what the compiler did to the steps of a script, as one page for a browser.

The script runs as with `genesis run`, to its end, or for --steps calls of compiled steps; Ctrl-C ends it as well. The
page is one file that needs no network: source, stages and kernels side by side, the graph, precision, memory and time.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import genesis.step.captured as captured
from compiler.processors import PROCESSORS
from genesis.explore.model import model
from genesis.explore.page import page


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _add_output(parser, None)
    parser.add_argument(
        "--device",
        choices=["cpu", *PROCESSORS],
        help="show the step as it is compiled for this processor, which need not be there, on its roofline",
    )
    captured.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """The exit code of the script; 1 where it calls no compiled function."""
    _take_output(arguments)
    code, programs = captured.capture(arguments)
    if programs:
        name = arguments.script.rpartition(".")[2] if arguments.module else Path(arguments.script).stem
        output = arguments.output or Path(f"{name}.html")
        print(f"genesis: timing {len(programs)} programs and writing down what was done to them", file=sys.stderr)
        text = page(model(arguments.script, programs, arguments.runs, arguments.device))
        output.write_text(text, encoding="utf-8")
        print(f"genesis: wrote {output}, {len(text) / 1e6:.1f} MB", file=sys.stderr)
    return code


def _add_output(parser: argparse.ArgumentParser, default: Path | None) -> None:
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=default,
        help="the page to write (default: the script's name with .html); may stand behind SCRIPT, too",
    )


def _take_output(arguments: argparse.Namespace) -> None:
    """Take ``-o`` out of the script's arguments, up to a ``--``, which goes as well."""
    words = arguments.args
    end = words.index("--") if "--" in words else len(words)
    behind = argparse.ArgumentParser("genesis explore", add_help=False, allow_abbrev=False)
    _add_output(behind, arguments.output)
    found, left = behind.parse_known_args(words[:end])
    arguments.output, arguments.args = found.output, [*left, *words[end + 1 :]]
