"""Run a script, or a module, as Python would, in this process, with ``import torch`` giving genesis."""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any

import genesis.torch_names as torch_names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of a command that runs a script."""
    parser.add_argument(
        "-m", dest="module", action="store_true", help="SCRIPT is the name of a module, as for python -m"
    )
    parser.add_argument("script", metavar="SCRIPT", help="a Python file")
    parser.add_argument("args", metavar="ARGS", nargs=argparse.REMAINDER, help="arguments of the script")


def positive(text: str) -> int:
    """An argument that is a whole number of 1 or more."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not 1 or more")
    return number


def run(arguments: argparse.Namespace) -> int:
    """The exit code: 1 where the script ends with an error, 2 where there is no such file, 130 where it is interrupted.

    SystemExit leaves as it is.
    """
    script: str = arguments.script
    source = b""
    if not arguments.module:
        try:
            with open(script, "rb") as file:
                source = file.read()
        except OSError as error:
            print(f"genesis: cannot open {script!r}: {error.strerror}", file=sys.stderr)
            return 2
    torch_names.install()
    sys.argv = [script, *arguments.args]
    sys.path[0] = os.getcwd() if arguments.module else os.path.dirname(os.path.realpath(script))
    try:
        if arguments.module:
            runpy.run_module(script, run_name="__main__", alter_sys=True)
        else:
            exec(compile(source, script, "exec", dont_inherit=True), vars(_main_module(script)))
    except Exception as error:
        _show(error)
        return 1
    except KeyboardInterrupt as error:
        _show(error)
        return 130
    return 0


def _main_module(script: str) -> ModuleType:
    """The module ``__main__``, as Python makes it for a script."""
    main = ModuleType("__main__")
    attributes: dict[str, Any] = {
        "__file__": script,
        "__builtins__": __builtins__,
        "__cached__": None,
        "__loader__": SourceFileLoader("__main__", script),
        "__annotations__": {},
    }
    vars(main).update(attributes)
    sys.modules["__main__"] = main
    return main


def _show(error: BaseException) -> None:
    """Print an error as Python does, its traceback without the frame of this file."""
    trace = error.__traceback__.tb_next if error.__traceback__ is not None else None
    sys.excepthook(type(error), error.with_traceback(trace), trace)
