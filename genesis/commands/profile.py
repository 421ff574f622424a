"""Run a script, then print where the time of each of its compiled functions goes.

The script runs as with `genesis run`, to its end, or for --steps calls of compiled steps. Each program is then timed on
the arguments of its last call: per kernel, module and line.
"""

from __future__ import annotations

import argparse
import sys

import genesis.step.captured as captured
from compiler.errors import GenesisError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    captured.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """The exit code of the script; 1 where it calls no compiled function, or one cannot be timed."""
    code, programs = captured.capture(arguments)
    for item in programs:
        try:
            print(f"\n{item.program.profile(arguments.runs)}")
        except GenesisError as error:
            print(f"genesis: {item.name}: {error}", file=sys.stderr)
            code = code or 1
    return code
