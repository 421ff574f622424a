"""Run compiler passes on a graph in text form, and print what comes out: `python -m compiler` by another name."""

from __future__ import annotations

import argparse

from compiler.__main__ import add_arguments as add_arguments
from compiler.__main__ import run_command


def run(arguments: argparse.Namespace) -> int:
    return run_command(arguments)
