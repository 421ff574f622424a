"""Run a PyTorch script with Genesis (`import torch` gives genesis), or one graph alone.

The script runs as `python SCRIPT ARGS` would run it. A name that Genesis does not have is an error where it is
used; the message says what to use instead. With --strict the first such name ends the program, even where it asks by
hasattr() or catches the error.

A file that ends in .gir is a graph in text form, as `step.dump()` writes it. `genesis run step.gir --inputs x.npz` runs
it and prints what it returns; `genesis run step.gir --help` lists the options.
"""

from __future__ import annotations

import argparse
from typing import NoReturn

import genesis.names as names
import genesis.script as script
import genesis.step.alone as alone


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--strict", action="store_true", help="end the program at the first missing name")
    script.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """1 where the script or graph ends with an error, 2 where there is no such file, 130 where it is interrupted."""
    if arguments.script.endswith(".gir") and not arguments.module:
        return alone.main(arguments.script, arguments.args)
    if arguments.strict:
        names.told.append(_stop)
    return script.run(arguments)


class Stopped(SystemExit):
    """Ends the program at a missing name."""


def _stop(message: str) -> NoReturn:
    raise Stopped(f"genesis run --strict: {message}")
