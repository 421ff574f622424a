"""The command ``genesis``: one module of this package per subcommand.

Such a module has a docstring, whose first line is the help; ``add_arguments(parser)``; and ``run(arguments)``, which
returns the exit code. It stands in :data:`COMMANDS`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from types import ModuleType

from genesis.commands import cache, check, checkpoint, diff, doctor, explore, opt, profile, run
from genesis.version import __version__

COMMANDS: tuple[ModuleType, ...] = (run, check, explore, profile, doctor, opt, diff, checkpoint, cache)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the subcommand that ``argv``, or the command line, names; the exit code, 2 for a wrong command line."""
    parser = argparse.ArgumentParser("genesis", description="Compile training programs.")
    parser.add_argument("--version", action="version", version=f"genesis {__version__}")
    subcommands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        text = (command.__doc__ or "").strip()
        name = command.__name__.rpartition(".")[2]
        sub = subcommands.add_parser(
            name, help=text.partition("\n")[0], description=text, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        command.add_arguments(sub)
        sub.set_defaults(run=command.run)
    arguments = parser.parse_args(argv)
    return int(arguments.run(arguments))
